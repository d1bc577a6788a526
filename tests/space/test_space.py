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


def test_size_is_the_number_of_distinct_archs(tiny: SearchSpace, every_arch: set[Arch]) -> None:
    assert tiny.size == len(every_arch)
    assert all(tiny.contains(arch) for arch in every_arch)


def test_size_of_the_released_space() -> None:
    assert SearchSpace.load("litepose-published").size == 5 * 3 * 4**4 * 4**3


@given(spaces, generators)
def test_one_arch_makes_a_space_of_its_own(space: SearchSpace, rng: np.random.Generator) -> None:
    arch = ArchManager(space).sample(rng)
    alone = SearchSpace.of(arch)
    manager = ArchManager(alone)
    assert alone.size == 1
    assert manager.sample(rng) == manager.largest() == manager.smallest() == manager.mutate(arch, rng) == arch
    assert SearchSpace.from_json(alone.to_json()) == alone
    assert alone.task == space.task


def test_why_not_names_the_field(tiny: SearchSpace, tiny_data: dict[str, Any]) -> None:
    manager = ArchManager(tiny)
    arch = manager.largest(head="simcc")
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
            manager.encode(changed)


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


def test_a_narrowed_space_has_the_given_resolutions_only() -> None:
    space = SearchSpace.load("person-crop")
    narrow = space.narrow(resolutions=[(128, 96), (96, 64)])
    assert narrow.resolutions == ((96, 64), (128, 96))
    assert narrow.size * len(space.resolutions) == space.size * 2
    assert space.contains(ArchManager(narrow).largest())
    assert not narrow.contains(ArchManager(space).largest())
    with pytest.raises(UserError, match="resolution: \\(64, 64\\) is not among"):
        space.narrow(resolutions=[(64, 64)])


def test_a_narrowed_space_has_the_given_heads_and_their_necks_only() -> None:
    space = SearchSpace.load("any-head-crop")
    narrow = space.narrow(heads=["regression", "rle"])
    manager = ArchManager(narrow)
    assert narrow.heads == ("regression", "rle")
    assert tuple(narrow.spec.necks) == ("none",)
    assert SearchSpace.from_json(narrow.to_json()) == narrow
    assert all(space.contains(arch) for arch in (manager.smallest(), manager.largest()))
    with pytest.raises(UserError, match="head: crystal is not among heatmap, simcc"):
        space.narrow(heads=["crystal"])


def test_a_narrowed_space_has_heads_on_the_given_necks_only() -> None:
    space = SearchSpace.load("person-crop")
    narrow = space.narrow(heads={"heatmap": ["fusion_deconv"], "simcc": ["none"]})
    assert narrow.heads == space.heads
    assert narrow.spec.heads["simcc"].necks == ("none",)
    assert tuple(narrow.spec.necks) == ("none", "fusion_deconv")
    assert SearchSpace.from_json(narrow.to_json()) == narrow
    assert ArchManager(narrow).largest(head="simcc").neck.type == "none"
    assert not narrow.contains(ArchManager(space).largest(head="simcc"))
    assert tuple(space.narrow(heads={"simcc": ["none"]}).spec.necks) == ("none",)
    with pytest.raises(UserError, match="head simcc on neck: fpn is not among none, fusion_deconv"):
        space.narrow(heads={"simcc": ["fpn"]})
