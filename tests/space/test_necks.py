"""Necks in search spaces and arch files: levels, defaults, faults, lossless files."""

import json
from typing import Any

import numpy as np
import pytest
from pyramids import DATA, pyramids
from space_data import altered

from nas.codecs import Codec
from nas.codecs.build import codec_of
from nas.errors import UserError
from nas.space import Arch, ArchManager, SearchSpace, Skeleton, SpaceSpec
from nas.space.parts import part
from nas.space.specs import HeadSpec, NeckSpec


@pytest.fixture
def pan() -> Arch:
    """An arch with a coarser level."""
    manager, rng = ArchManager(pyramids()), np.random.default_rng(0)
    return next(arch for arch in iter(lambda: manager.sample(rng), None) if arch.neck.type == "pan")


@pytest.mark.parametrize(
    ("neck", "widths", "coarser", "expected"),
    [
        ("none", 0, 0, (32,)),
        ("fusion_deconv", 3, 0, (16, 8, 4)),
        ("fpn", 1, 0, (32,)),
        ("fpn", 4, 0, (32, 16, 8, 4)),
        ("pan", 3, 0, (32, 16, 8)),
        ("pan", 4, 1, (64, 32, 16, 8)),
        ("fpn", 3, 2, (128, 64, 32)),
    ],
)
def test_strides_of_a_necks_levels(neck: str, widths: int, coarser: int, expected: tuple[int, ...]) -> None:
    assert part(NeckSpec, neck).strides(32, widths, coarser) == expected


def test_every_arch_of_a_space_of_pyramids_survives_files_and_encoding() -> None:
    space, rng = pyramids(), np.random.default_rng(0)
    manager = ArchManager(space)
    for arch in (manager.sample(rng) for _ in range(50)):
        assert Arch.from_json(json.loads(json.dumps(arch.to_json()))) == arch
        assert manager.decode(manager.encode(arch)) == arch
        alone = SearchSpace.of(arch)
        assert alone.size == 1
        assert alone.contains(arch)
        expected = (32, 16, 8, 4) if arch.neck.type == "pan" else (16, 8, 4)
        assert arch.level_strides == alone.spec.strides(arch.neck.type) == expected
        assert arch.level_strides[-1] == 4
    assert SearchSpace.from_json(space.to_json()) == space


def test_what_is_left_out_is_nearest_and_separable() -> None:
    data = altered(DATA, "necks.fpn", {"widths": [16, 16]})
    neck = SpaceSpec.read(data, "x").necks["fpn"]
    assert (neck.upsamplers, neck.convolutions, neck.coarser) == (("nearest",), ("separable",), 0)


def test_ids_of_archs_without_pyramid_are_what_they_were() -> None:
    for name, id_ in (("litepose-auto-xs", "aa0039f5b9e2"), ("litepose-auto-l", "68daf1a6a903")):
        assert Arch.load(name).id == id_


def test_a_codec_knows_the_strides_of_all_levels(pan: Arch) -> None:
    codec = codec_of(pan, Skeleton.load("coco17"))
    assert isinstance(codec, Codec)
    assert (codec.stride, codec.strides) == (4, (32, 16, 8, 4))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("necks.pan.coarser", 4, "necks.pan.coarser: 4 of 4 levels leave none for the stages"),
        ("necks.pan.coarser", -1, "necks.pan.coarser: expected a number of levels, got -1"),
        ("resolution", [[64, 96]], "resolution: 64x96 is not divisible by the network's coarsest stride 64"),
        ("necks.fpn.widths", [8] * 5, "necks.fpn.widths: 5 levels do not fit a total stride of 16"),
        ("necks.fpn.widths", [], "necks.fpn.widths: the neck 'fpn' needs at least one width"),
        ("necks.fpn.convolution", "shift", "necks.fpn.convolution.0: unknown convolution 'shift'"),
        ("necks.fusion_deconv", {"widths": [8], "upsampler": "nearest", "convolution": "dense"},
         "necks.fusion_deconv.convolution: not known here"),
        ("necks.fusion_deconv", {"widths": [8], "upsampler": "nearest", "coarser": 1},
         "necks.fusion_deconv.coarser: the neck 'fusion_deconv' has no levels coarser"),
    ],
)  # fmt: skip
def test_faults_in_spaces_name_the_field(field: str, value: Any, message: str) -> None:
    data = altered(altered(DATA, "resolution", [64]), "necks.pan.coarser", 2)
    with pytest.raises(UserError) as error:
        SpaceSpec.read(altered(data, field, value), "a.yaml")
    assert str(error.value).startswith(f"a.yaml: {message}")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("neck.convolution", None, "neck: convolution: is missing"),
        ("neck.coarser", 4, "neck.coarser: 4 of 4 levels"),
        ("neck.type", "fusion_deconv", "neck: convolution: not known here"),
        ("neck.widths", [8] * 6, "neck.widths: 6 levels do not fit a total stride of 16"),
    ],
)
def test_faults_in_arch_files_name_the_field(pan: Arch, field: str, value: Any, message: str) -> None:
    data = altered(pan.to_json(), field, value)
    with pytest.raises(UserError) as error:
        Arch.from_json(data, source="a.json")
    assert str(error.value).startswith(f"a.json: {message}")


def test_an_arch_with_other_coarser_levels_is_not_in_the_space(pan: Arch) -> None:
    data = altered(pan.to_json(), "neck.coarser", 0)
    data["neck"]["widths"] = data["neck"]["widths"][:3]
    reason = pyramids().why_not(Arch.from_json(data))
    assert reason is not None
    assert reason.startswith("neck.coarser: the space has 1, the arch 0")


def test_a_head_says_which_strides_it_needs_at_the_end() -> None:
    head = HeadSpec(name="x", task="image", module="", codec="", necks=("fpn", "pan"), strides=(16, 8))
    assert head.neck_fault(part(NeckSpec, "pan"), (64, 32, 16, 8)) is None
    assert head.neck_fault(part(NeckSpec, "none"), (8,)) == "head 'x' takes fpn or pan, not 'none'"
    fault = head.neck_fault(part(NeckSpec, "fpn"), (32, 16))
    assert fault == "head 'x' needs maps of stride 16, 8 at the end, 'fpn' ends in 32, 16"
