import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import UserError
from nas.shipped import shipped_names
from nas.space import Arch, ArchManager, SearchSpace

SPACES = [SearchSpace.load(name) for name in shipped_names("search_spaces", ".yaml")]
spaces = st.sampled_from(SPACES)
generators = st.integers(0, 2**32).map(np.random.default_rng)


def size_of(arch: Arch) -> float:
    """A cost that grows with every width and depth."""
    return float(sum(stage.width * stage.depth for stage in arch.stages))


def test_equal_networks_encode_equally(tiny: SearchSpace, every_arch: set[Arch]) -> None:
    codes = {tuple(ArchManager(tiny).encode(arch).items()) for arch in every_arch}
    assert len(codes) == tiny.size


def test_sampling_reaches_every_choice_evenly(tiny: SearchSpace) -> None:
    manager = ArchManager(tiny)
    rng = np.random.default_rng(0)
    codes = [manager.encode(manager.sample(rng)) for _ in range(4000)]
    for dimension in tiny.dimensions:
        drawn = [code[dimension.name] for code in codes if dimension.name in code]
        shares = np.bincount(drawn, minlength=len(dimension.choices)) / len(drawn)
        np.testing.assert_allclose(shares, 1 / len(dimension.choices), atol=0.07)


@given(spaces, generators)
def test_a_sample_is_in_the_space_and_survives_encoding(space: SearchSpace, rng: np.random.Generator) -> None:
    manager = ArchManager(space)
    arch = manager.sample(rng)
    assert space.why_not(arch) is None
    assert manager.decode(manager.encode(arch)) == arch


@given(spaces, generators)
def test_decode_ignores_inactive_dimensions(space: SearchSpace, rng: np.random.Generator) -> None:
    manager = ArchManager(space)
    indices = {dimension.name: int(rng.integers(len(dimension.choices))) for dimension in space.dimensions}
    arch = manager.decode(indices)
    assert manager.encode(arch).items() <= indices.items()


@given(spaces, generators, st.floats(0, 1))
def test_a_mutant_is_another_arch_of_the_space(
    space: SearchSpace, rng: np.random.Generator, rate: float
) -> None:
    manager = ArchManager(space)
    arch = manager.sample(rng)
    mutant = manager.mutate(arch, rng, rate=rate)
    assert mutant != arch
    assert space.contains(mutant)


@given(generators)
def test_mutation_at_rate_zero_changes_one_dimension(rng: np.random.Generator) -> None:
    manager = ArchManager(SearchSpace.load("litepose-published"))
    arch = manager.sample(rng)
    before, after = manager.encode(arch), manager.encode(manager.mutate(arch, rng, rate=0))
    assert sum(before[name] != after[name] for name in before) == 1


def test_mutation_at_rate_one_changes_every_dimension() -> None:
    space = SearchSpace.load("litepose-published")
    manager = ArchManager(space)
    arch = manager.smallest()
    mutant = manager.encode(manager.mutate(arch, np.random.default_rng(0), rate=1))
    assert all(mutant[dimension.name] > 0 for dimension in space.dimensions if dimension.elastic)
    with pytest.raises(ValueError, match="rate"):
        manager.mutate(arch, np.random.default_rng(0), rate=2)


@given(spaces, generators)
def test_a_child_has_its_parents_choices_only(space: SearchSpace, rng: np.random.Generator) -> None:
    manager = ArchManager(space)
    first, second = manager.sample(rng), manager.sample(rng)
    child = manager.encode(manager.crossover(first, second, rng))
    codes = (manager.encode(first), manager.encode(second))
    for name, index in child.items():
        theirs = [code[name] for code in codes if name in code]
        assert index in theirs or not theirs
    assert manager.crossover(first, first, rng) == first


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_smallest_and_largest_bound_the_space(space: SearchSpace) -> None:
    for head, resolution in itertools.product(space.heads, space.resolutions):
        small, large = (
            draw(head=head, resolution=resolution)
            for draw in (ArchManager(space).smallest, ArchManager(space).largest)
        )
        assert space.contains(small)
        assert space.contains(large)
        assert small.head.type == large.head.type == head
        assert small.resolution == large.resolution == resolution
        for low, high, stage in zip(small.stages, large.stages, space.spec.stages, strict=True):
            assert (low.width, high.width) == (min(stage.widths), max(stage.widths))
            assert (low.depth, high.depth) == (min(stage.depths), max(stage.depths))
            assert {block.kernel for block in high.blocks} == {max(stage.blocks[0]["kernel"])}


def test_samples_keep_the_head_and_resolution_asked_for(tiny: SearchSpace) -> None:
    manager = ArchManager(tiny)
    rng = np.random.default_rng(0)
    drawn = [manager.sample(rng, head="simcc", resolution=(64, 48)) for _ in range(50)]
    assert {(arch.head.type, arch.resolution) for arch in drawn} == {("simcc", (64, 48))}
    assert {arch.neck.type for arch in drawn} == {"none", "fusion_deconv"}
    with pytest.raises(UserError, match=r"head\.type: cornernet is not among heatmap, simcc"):
        manager.sample(rng, head="cornernet")
    with pytest.raises(UserError, match=r"resolution: \(8, 8\) is not among"):
        manager.largest(resolution=(8, 8))


def test_the_same_generator_draws_the_same_archs(tiny: SearchSpace) -> None:
    manager = ArchManager(tiny)
    first, second = (np.random.default_rng(7) for _ in range(2))
    assert [manager.sample(first) for _ in range(20)] == [manager.sample(second) for _ in range(20)]


def test_samples_within_a_cost() -> None:
    manager, rng = ArchManager(SearchSpace.load("person-crop")), np.random.default_rng(0)
    low, high = 500, 600
    assert all(
        low <= size_of(manager.sample_within(rng, size_of, low=low, high=high)) <= high for _ in range(20)
    )
    with pytest.raises(
        UserError, match=r"none of 30 archs drawn costs between 0 and 1; they cost \d+ to \d+"
    ):
        manager.sample_within(rng, size_of, high=1, tries=30)


def test_decode_names_what_is_wrong(tiny: SearchSpace) -> None:
    manager = ArchManager(tiny)
    indices = manager.encode(manager.largest())
    for changed, message in [
        (indices | {"stem.width": 2}, "stem.width: expected an index from 0 to 1, got 2"),
        (indices | {"stem.width": -1}, "stem.width: expected an index from 0 to 1, got -1"),
        ({"resolution": 0}, "stem.width: expected an index from 0 to 1, got None"),
        (indices | {"stem.colour": 0}, "has no dimension 'stem.colour'"),
    ]:
        with pytest.raises(UserError, match=message):
            manager.decode(changed)


def test_a_manager_keeps_nothing_of_its_own(tiny: SearchSpace) -> None:
    """One made for a single draw draws what a long-lived one does."""
    first, second = (np.random.default_rng(3) for _ in range(2))
    manager = ArchManager(tiny)
    assert [manager.sample(first) for _ in range(9)] == [ArchManager(tiny).sample(second) for _ in range(9)]
    assert manager == ArchManager(tiny)
    assert vars(manager) == {"space": tiny}
