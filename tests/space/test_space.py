import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import UserError
from nas.shipped import shipped_names
from nas.space import Arch, ArchManager, Block, Neck, SearchSpace, SpaceSpec

SPACES = [SearchSpace.load(name) for name in shipped_names("search_spaces", ".yaml")]
spaces = st.sampled_from(SPACES)
generators = st.integers(0, 2**32).map(np.random.default_rng)


def size_of(arch: Arch) -> float:
    """A cost that grows with every width and depth."""
    return float(sum(stage.width * stage.depth for stage in arch.stages))


@pytest.fixture
def every_arch(tiny: SearchSpace) -> set[Arch]:
    names = [dimension.name for dimension in tiny.dimensions]
    indices = itertools.product(*(range(len(dimension.choices)) for dimension in tiny.dimensions))
    return {tiny.decode(dict(zip(names, values, strict=True))) for values in indices}


def test_size_is_the_number_of_distinct_archs(tiny: SearchSpace, every_arch: set[Arch]) -> None:
    assert tiny.size == len(every_arch)
    assert all(tiny.contains(arch) for arch in every_arch)


def test_equal_networks_encode_equally(tiny: SearchSpace, every_arch: set[Arch]) -> None:
    codes = {tuple(tiny.encode(arch).items()) for arch in every_arch}
    assert len(codes) == tiny.size


def test_sampling_reaches_every_choice_evenly(tiny: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    codes = [tiny.encode(tiny.sample(rng)) for _ in range(4000)]
    for dimension in tiny.dimensions:
        drawn = [code[dimension.name] for code in codes if dimension.name in code]
        shares = np.bincount(drawn, minlength=len(dimension.choices)) / len(drawn)
        np.testing.assert_allclose(shares, 1 / len(dimension.choices), atol=0.07)


def test_size_of_the_released_space() -> None:
    assert SearchSpace.load("litepose-published").size == 5 * 3 * 4**4 * 4**3


@given(spaces, generators)
def test_a_sample_is_in_the_space_and_survives_encoding(space: SearchSpace, rng: np.random.Generator) -> None:
    arch = space.sample(rng)
    assert space.why_not(arch) is None
    assert space.decode(space.encode(arch)) == arch


@given(spaces, generators)
def test_decode_ignores_inactive_dimensions(space: SearchSpace, rng: np.random.Generator) -> None:
    indices = {dimension.name: int(rng.integers(len(dimension.choices))) for dimension in space.dimensions}
    arch = space.decode(indices)
    assert space.encode(arch).items() <= indices.items()


@given(spaces, generators, st.floats(0, 1))
def test_a_mutant_is_another_arch_of_the_space(
    space: SearchSpace, rng: np.random.Generator, rate: float
) -> None:
    arch = space.sample(rng)
    mutant = space.mutate(arch, rng, rate=rate)
    assert mutant != arch
    assert space.contains(mutant)


@given(generators)
def test_mutation_at_rate_zero_changes_one_dimension(rng: np.random.Generator) -> None:
    space = SearchSpace.load("litepose-published")
    arch = space.sample(rng)
    before, after = space.encode(arch), space.encode(space.mutate(arch, rng, rate=0))
    assert sum(before[name] != after[name] for name in before) == 1


def test_mutation_at_rate_one_changes_every_dimension() -> None:
    space = SearchSpace.load("litepose-published")
    arch = space.smallest()
    mutant = space.encode(space.mutate(arch, np.random.default_rng(0), rate=1))
    assert all(mutant[dimension.name] > 0 for dimension in space.dimensions if dimension.elastic)
    with pytest.raises(ValueError, match="rate"):
        space.mutate(arch, np.random.default_rng(0), rate=2)


@given(spaces, generators)
def test_a_child_has_its_parents_choices_only(space: SearchSpace, rng: np.random.Generator) -> None:
    first, second = space.sample(rng), space.sample(rng)
    child = space.encode(space.crossover(first, second, rng))
    codes = (space.encode(first), space.encode(second))
    for name, index in child.items():
        theirs = [code[name] for code in codes if name in code]
        assert index in theirs or not theirs
    assert space.crossover(first, first, rng) == first


@given(spaces, generators)
def test_one_arch_makes_a_space_of_its_own(space: SearchSpace, rng: np.random.Generator) -> None:
    arch = space.sample(rng)
    alone = SearchSpace.of(arch)
    assert alone.size == 1
    assert alone.sample(rng) == alone.largest() == alone.smallest() == alone.mutate(arch, rng) == arch
    assert SearchSpace.from_json(alone.to_json()) == alone
    assert alone.task == space.task


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_smallest_and_largest_bound_the_space(space: SearchSpace) -> None:
    for head, resolution in itertools.product(space.heads, space.resolutions):
        small, large = (draw(head=head, resolution=resolution) for draw in (space.smallest, space.largest))
        assert space.contains(small)
        assert space.contains(large)
        assert small.head.type == large.head.type == head
        assert small.resolution == large.resolution == resolution
        for low, high, stage in zip(small.stages, large.stages, space.spec.stages, strict=True):
            assert (low.width, high.width) == (min(stage.widths), max(stage.widths))
            assert (low.depth, high.depth) == (min(stage.depths), max(stage.depths))
            assert {block.kernel for block in high.blocks} == {max(stage.blocks[0].kernels)}


def test_samples_keep_the_head_and_resolution_asked_for(tiny: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    drawn = [tiny.sample(rng, head="simcc", resolution=(64, 48)) for _ in range(50)]
    assert {(arch.head.type, arch.resolution) for arch in drawn} == {("simcc", (64, 48))}
    assert {arch.neck.type for arch in drawn} == {"none", "fusion_deconv"}
    with pytest.raises(UserError, match=r"head\.type: cornernet is not among heatmap, simcc"):
        tiny.sample(rng, head="cornernet")
    with pytest.raises(UserError, match=r"resolution: \(8, 8\) is not among"):
        tiny.largest(resolution=(8, 8))


def test_the_same_generator_draws_the_same_archs(tiny: SearchSpace) -> None:
    first, second = (np.random.default_rng(7) for _ in range(2))
    assert [tiny.sample(first) for _ in range(20)] == [tiny.sample(second) for _ in range(20)]


def test_samples_within_a_cost() -> None:
    space, rng = SearchSpace.load("person-crop"), np.random.default_rng(0)
    low, high = 500, 600
    assert all(
        low <= size_of(space.sample_within(rng, size_of, low=low, high=high)) <= high for _ in range(20)
    )
    with pytest.raises(
        UserError, match=r"none of 30 archs drawn costs between 0 and 1; they cost \d+ to \d+"
    ):
        space.sample_within(rng, size_of, high=1, tries=30)


def test_decode_names_what_is_wrong(tiny: SearchSpace) -> None:
    indices = tiny.encode(tiny.largest())
    for changed, message in [
        (indices | {"stem.width": 2}, "stem.width: expected an index from 0 to 1, got 2"),
        (indices | {"stem.width": -1}, "stem.width: expected an index from 0 to 1, got -1"),
        ({"resolution": 0}, "stem.width: expected an index from 0 to 1, got None"),
        (indices | {"stem.colour": 0}, "has no dimension 'stem.colour'"),
    ]:
        with pytest.raises(UserError, match=message):
            tiny.decode(changed)


def test_why_not_names_the_field(tiny: SearchSpace, tiny_data: dict[str, Any]) -> None:
    arch = tiny.largest(head="simcc")
    first, second = arch.stages
    for changed, field in [
        (arch.with_resolution((128, 96)), "resolution: "),
        (replace(arch, stem=replace(arch.stem, width=24)), "stem.width: 24 is not among 8, 16"),
        (replace(arch, stem=replace(arch.stem, type="patch")), "stem.type: "),
        (replace(arch, stages=(first,)), "stages: the space has 2, the arch 1"),
        (replace(arch, stages=(replace(first, stride=1), second)), "stages.0.stride: "),
        (replace(arch, stages=(replace(first, blocks=first.blocks[:2]), second)), "stages.0.depth: 2 is not"),
        (
            replace(arch, stages=(replace(first, blocks=(*first.blocks[:2], Block(7, 2))), second)),
            "stages.0.blocks.2.kernel: 7 is not among 3, 5",
        ),
        (replace(arch, stages=(first, replace(second, type="resnet"))), "stages.1.type: "),
        (replace(arch, stages=(first, replace(second, options=(("ratio", 2),)))), "stages.1.options: "),
        (replace(arch, head=replace(arch.head, type="rle")), "head.type: rle is not among heatmap, simcc"),
        (replace(arch, head=replace(arch.head, options=())), "head.options: "),
        (replace(arch, neck=Neck("fpn")), "head.simcc.neck: fpn is not among none, fusion_deconv"),
        (replace(arch, neck=replace(arch.neck, widths=(8, 8))), "neck.widths: "),
        (replace(arch, neck=replace(arch.neck, upsampler="bilinear")), "neck.fusion_deconv.upsampler: "),
    ]:
        reason = tiny.why_not(changed)
        assert reason is not None
        assert reason.startswith(field)
        assert not tiny.contains(changed)
        with pytest.raises(UserError, match="is not in space 'tiny'"):
            tiny.encode(changed)


def test_a_published_subnet_outside_the_space_is_an_error(tiny_data: dict[str, Any]) -> None:
    space = SearchSpace(SpaceSpec.read(tiny_data | {"published": ["litepose-auto-xs"]}, "tiny.yaml"))
    with pytest.raises(
        UserError, match="does not contain its published subnet 'litepose-auto-xs': resolution"
    ):
        space.published()


def test_spaces_compare_by_value(tiny: SearchSpace, tiny_data: dict[str, Any]) -> None:
    again = SearchSpace(SpaceSpec.read(tiny_data, "elsewhere.yaml"))
    assert again == tiny
    assert hash(again) == hash(tiny)
    assert tiny != SearchSpace.load("demo")
    with pytest.raises(UserError, match="version"):
        SearchSpace.from_json(tiny.spec.to_json())


@given(generators)
def test_the_manager_speaks_for_its_space(rng: np.random.Generator) -> None:
    manager = ArchManager("demo")
    arch = manager.sample(rng, head="simcc")
    assert arch.head.type == "simcc"
    assert arch in manager
    assert "demo" not in manager
    assert manager.size == manager.space.size
    assert manager.decode(manager.encode(arch)) == arch
    assert manager.contains(manager.mutate(arch, rng, rate=0.2))
    assert manager.contains(manager.crossover(manager.smallest(), manager.largest(), rng))
    assert manager.why_not(manager.sample_within(rng, size_of, low=100)) is None
    assert manager.published() == {}


def test_a_narrowed_space_has_the_given_resolutions_only() -> None:
    space = SearchSpace.load("person-crop")
    narrow = space.narrow(resolutions=[(128, 96), (96, 64)])
    assert narrow.resolutions == ((96, 64), (128, 96))
    assert narrow.size * len(space.resolutions) == space.size * 2
    assert space.contains(narrow.largest())
    assert not narrow.contains(space.largest())
    with pytest.raises(UserError, match="resolution: \\(64, 64\\) is not among"):
        space.narrow(resolutions=[(64, 64)])


def test_a_narrowed_space_has_the_given_heads_and_their_necks_only() -> None:
    space = SearchSpace.load("any-head-crop")
    narrow = space.narrow(heads=["regression", "rle"])
    assert narrow.heads == ("regression", "rle")
    assert tuple(narrow.spec.necks) == ("none",)
    assert SearchSpace.from_json(narrow.to_json()) == narrow
    assert all(space.contains(arch) for arch in (narrow.smallest(), narrow.largest()))
    with pytest.raises(UserError, match="head: crystal is not among heatmap, simcc"):
        space.narrow(heads=["crystal"])
