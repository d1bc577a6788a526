"""Confidences mean the same for all heads, with every option, at every resolution of a shipped space."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from head_samples import SHIPPED_HEADS
from numpy.typing import NDArray

from nas.codecs import Codec, People, Poses
from nas.codecs.associative_embedding import AssociativeEmbeddingCodec
from nas.codecs.maps import to_pixels
from nas.heads import HeadPlace, Level, PoseHead
from nas.space import ArchManager, SearchSpace
from nas.space.arch import Head as HeadArch
from nas.space.options import freeze_options
from nas.space.parts import part
from nas.space.skeleton import Skeleton
from nas.space.specs import HeadSpec, OptionValue

ROOT = Path(__file__).parents[2]
SPACES = ROOT / "search_spaces"
CROSS = Skeleton(
    "cross",
    ("left", "right", "top", "middle"),
    (("left", "right"),),
    (0.1,) * 4,
    (("middle", "left"), ("middle", "right"), ("middle", "top")),
)
KERNELS: dict[str, list[OptionValue]] = {"kernel": ["gaussian", "exponential"], "radius": ["fixed", "person"]}
OPTIONS: dict[str, dict[str, list[OptionValue]]] = {
    "associative_embedding": {**KERNELS, "foreground": [0.0]},
    "center": {"people": [1, 30], "activation": ["sigmoid", "softsign"]},
    "dense": {"decode": ["nms", "one_to_one"], "people": [1, 30]},
    "part_affinity": {
        "width": [8],
        "refinement": [0],
        "limbs": ["skeleton", "mirrored", "bridged"],
        "fewest": [1, 3],
    },
    "heatmap": {**KERNELS, "refine": ["quarter", "dark"], "foreground": [0.0]},
    "simcc": {"split": [1, 2, 3], "label": ["gaussian", "onehot"]},
    "rtmcc": {"split": [1, 2, 3], "hidden": [16]},
    "integral": {"beta": [1.0, 15.0], "debias": [False, True], "deconvolutions": [0, 1, 2], "width": [8]},
    "dsnt": {"beta": [1.0], "deconvolutions": [0, 1, 2], "width": [8]},
    "regression": {"dropout": [0.0], "bone": [0.0], "score": ["none", "bce", "quality_focal"]},
    "rle": {
        "dropout": [0.0],
        "bone": [0.0],
        "gamma": [1.0],
        "maps": ["shared"],
        "score": ["sigma", "bce", "quality_focal"],
    },
}
"""Of options that have no part in a score, one value."""

CENTRED, FLOOR, EXPONENTIAL_FLOOR, UNINFORMED = 0.9, 0.7, 0.45, 0.1
AREAS = (0.0, 1e5)
"""Pixels^2: people as small and as large as there are."""

SURE = 30.0
Place = tuple[tuple[int, int], tuple[int, ...]]
"""A resolution (h, w) and the strides of a neck's levels."""


@cache
def places(head: str) -> tuple[Place, ...]:
    """Where the shipped spaces have a head."""
    found: dict[Place, None] = {}
    for file in sorted(SPACES.glob("*.yaml")):
        space = SearchSpace.load(file)
        if head not in space.heads:
            continue
        for neck, resolution in product(space.spec.heads[head].necks, space.spec.resolutions):
            arch = ArchManager(space).smallest(head=head, neck=neck, resolution=resolution)
            found[resolution, arch.level_strides] = None
    return tuple(found)


def cases() -> Iterator[tuple[str, dict[str, OptionValue]]]:
    for head, options in OPTIONS.items():
        for values in product(*options.values()):
            yield head, dict(zip(options, values, strict=True))


ALL = pytest.mark.parametrize(
    ("name", "options"),
    [pytest.param(n, o, id="-".join(map(str, (n, *o.values())))) for n, o in cases()],
)


def build(name: str, options: Mapping[str, OptionValue], place: Place) -> tuple[PoseHead, Codec, HeadArch]:
    (resolution, strides), spec = place, part(HeadSpec, name)
    levels = tuple(Level(8, None, stride) for stride in strides)
    choices = {option: (value,) for option, value in options.items()}
    head = spec.load_module()(HeadPlace(levels, CROSS, (resolution,), choices))
    codec = spec.load_codec()(CROSS, resolution, dict(options), stride=strides)
    return head, codec, HeadArch(name, freeze_options(options))


def pitch(codec: Codec) -> float:
    """Pixels from one centre of a cell or bin to the next, where scores are made."""
    match type(codec).__name__:
        case "SimCCCodec" | "RTMCCCodec":
            return 1 / codec.options["split"]
        case "IntegralCodec" | "DSNTCodec":
            return codec.map_stride
        case "AssociativeEmbeddingCodec":
            return 2
        case "CenterCodec":
            return 4
        case "HeatmapCodec" | "PartAffinityCodec":
            return codec.stride
    return 1


def someone(codec: Codec, offset: tuple[float, float], area: float, *, edge: bool) -> People:
    """A person whose joints lie off cells' centres by as much: anywhere, or in the map's corners."""
    step = pitch(codec)
    cells = np.array(codec.resolution[::-1]) / step
    if edge:
        corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
        places = corners * (cells - 1) + (2 * corners - 1) * np.abs(offset)
    else:
        shares = np.array([[0.15, 0.6], [0.8, 0.5], [0.5, 0.15], [0.45, 0.7]])
        places = np.floor(shares * cells) + offset
    joints = np.column_stack([to_pixels(places, step), np.full(4, 2.0)])
    low, high = joints[:, :2].min(0), joints[:, :2].max(0)
    return People(joints[None], np.array([area]), np.concatenate([low, high])[None])


def perfect(codec: Codec, people: People) -> dict[str, NDArray[np.floating]]:
    """The raw outputs that the codec's own target stands for."""
    targets = codec.encode(people)
    match type(codec).__name__:
        case "CenterCodec" | "DenseCodec":
            return codec.ideal_maps(people)
        case "AssociativeEmbeddingCodec":
            return {**_only(targets, "heatmaps_4", "heatmaps_2"), "tags": codec.ideal_tags(people)}
        case "HeatmapCodec":
            return _only(targets, "heatmaps")
        case "PartAffinityCodec":
            return _only(targets, "heatmaps", "affinities")
        case "SimCCCodec":
            return {axis: np.log(np.maximum(targets[axis], 1e-30)) for axis in ("x", "y")}
        case "RTMCCCodec":
            return _only(targets, "x", "y")
        case "DSNTCodec":
            return {"probabilities": targets["y"][:, :, None] * targets["x"][:, None, :]}
        case "IntegralCodec":
            height, width = codec.grid(codec.map_stride)
            x, y = targets["coordinates"].T
            return {"probabilities": _shared(y, height)[:, :, None] * _shared(x, width)[:, None, :]}
    logits = {"score_logits": np.full(4, SURE)} if codec.focus is not None else {}
    return {"xy": targets["xy"], "sigma_logits": np.full((4, 2), -SURE), **logits}


def uninformed(codec: Codec, name: str) -> Iterator[dict[str, NDArray[np.floating]]]:
    """Raw outputs that say nothing: maps of zeros, logits that are all alike."""
    someones = someone(codec, (0.0, 0.0), 0.0, edge=False)
    blank = {output: np.zeros_like(value) for output, value in perfect(codec, someones).items()}
    match name:
        case "simcc" | "rtmcc":
            yield {axis: vector + 3 for axis, vector in blank.items()}
        case "integral" | "dsnt":
            yield {"probabilities": np.full_like(blank["probabilities"], 1 / blank["probabilities"][0].size)}
        case "rle":  # sigmoid(-log 3) is a quarter
            blank["sigma_logits"] = np.full_like(blank["sigma_logits"], -np.log(3))
        case "dense":  # somebody is there, of whom nothing is known
            somebody = perfect(codec, someones)
            for maps in somebody.values():
                maps[5:] = 0
            yield somebody
        case "center":
            somebody = perfect(codec, someones)
            yield {**somebody, "heatmaps": np.zeros_like(somebody["heatmaps"])}
    yield blank


def _only(arrays: Mapping[str, NDArray[np.floating]], *names: str) -> dict[str, NDArray[np.floating]]:
    return {name: arrays[name] for name in names}


def _shared(places: NDArray[np.floating], cells: int) -> NDArray[np.floating]:
    """[K, cells]: each place shared linearly between the two nearest cells."""
    inner = np.clip(places, 0, cells - 1)
    return np.clip(1 - np.abs(np.arange(cells) - inner[:, None]), 0, None)


def answered(
    head: PoseHead, codec: Codec, arch: HeadArch, outputs: Mapping[str, NDArray[np.floating]]
) -> tuple[Poses, ...]:
    """The poses by the codec's reference decode, and by the head's."""
    tensors = {name: torch.from_numpy(np.asarray(value, np.float32))[None] for name, value in outputs.items()}
    tensors["size"] = torch.tensor(codec.resolution[::-1], dtype=torch.float32)
    if arch.type in ("regression", "rle") and codec.focus is None:
        tensors.pop("score_logits", None)
    decoded = head.decode(tensors, arch)
    return (
        codec.group(codec.decode_maps({name: np.asarray(value) for name, value in outputs.items()})),
        codec.group({name: value[0].numpy() for name, value in decoded.items()}),
    )


def test_every_head_and_option_is_here() -> None:
    assert set(OPTIONS) == set(SHIPPED_HEADS)
    for name, options in OPTIONS.items():
        assert set(options) == set(part(HeadSpec, name).options)
        assert places(name), name


@ALL
@torch.no_grad()
def test_a_joint_that_is_there_is_believed(name: str, options: dict[str, OptionValue]) -> None:
    floor = EXPONENTIAL_FLOOR if options.get("kernel") == "exponential" else FLOOR
    offsets = [(0.0, 0.0), (0.499, 0.499), (0.499, 0.1), (-0.499, 0.499)]
    areas = AREAS if options.get("radius") == "person" else AREAS[:1]
    for number, place in enumerate(places(name)):
        head, codec, arch = build(name, options, place)
        # Large images take long, and add only their borders to what the first shows.
        edges = (True,) if number and codec.task == "image" else (False, True)
        some = offsets[: 2 if len(edges) == 1 else None]
        for offset, area, edge in product(some, areas if len(edges) == 2 else areas[:1], edges):
            people = someone(codec, offset, area, edge=edge)
            found = answered(head, codec, arch, perfect(codec, people))
            for poses in found:
                assert len(poses) == 1, (place, offset)
                confidences = poses.keypoints[0, :, 2]
                least = CENTRED if offset == (0.0, 0.0) else floor
                assert confidences.min() >= least, (place, offset, area, edge)
                assert confidences.max() <= 1
            np.testing.assert_allclose(found[1].keypoints, found[0].keypoints, rtol=1e-3, atol=2e-3)
            np.testing.assert_allclose(found[1].scores, found[0].scores, atol=1e-4)


@ALL
@torch.no_grad()
def test_what_says_nothing_is_not_believed(name: str, options: dict[str, OptionValue]) -> None:
    for place in places(name):
        head, codec, arch = build(name, options, place)
        if not codec.scored:
            assert (name, options["score"]) == ("regression", "none")
            continue
        for outputs in uninformed(codec, name):
            for poses in answered(head, codec, arch, outputs):
                assert (poses.keypoints[..., 2] <= UNINFORMED).all(), place
                if codec.task == "crop":
                    assert 0 < poses.scores[0] <= UNINFORMED


@ALL
def test_full_is_what_the_codecs_own_target_decodes_to(name: str, options: dict[str, OptionValue]) -> None:
    """The stated anchor, not only the limits: a scale of a tenth less would pass those."""
    for place in places(name)[:1]:
        _, codec, _ = build(name, options, place)
        people = someone(codec, (0.0, 0.0), 0.0, edge=False)
        poses = codec.group(codec.decode_maps(perfect(codec, people)))
        np.testing.assert_allclose(poses.keypoints[0, :, 2], 1, atol=2e-3)


def test_heads_without_a_measure_say_so() -> None:
    said = {
        (name, options.get("score")): build(name, options, places(name)[0])[1].scored
        for name, options in cases()
    }
    assert {key for key, scored in said.items() if not scored} == {("regression", "none")}


def test_the_documented_anchors_are_those_that_are_stated() -> None:
    page = (ROOT / "docs" / "heads.md").read_text()
    row = r"\| `(\w+)` \| (?:`split: 2`)? ?\| (\d+)x(\d+) \| (\d*) ?\| ([\d.]+) \| ([\d.]+) \|"
    rows = re.findall(row, page)
    assert {name for name, *_ in rows} == {"simcc", "rtmcc", "integral", "dsnt"}
    for name, height, width, stride, full, none in rows:
        codec = part(HeadSpec, name).load_codec()(
            CROSS, (int(height), int(width)), {}, stride=int(stride or 16)
        )
        assert (f"{codec.anchors.full:.4f}", f"{codec.anchors.none:.4f}") == (full, none)
    heights = [
        AssociativeEmbeddingCodec(CROSS, (64, 64), {"kernel": kernel, "radius": radius}).anchors.full
        for kernel, radius in product(KERNELS["kernel"], KERNELS["radius"])
    ]
    stated = re.findall(r"\| (0\.\d+); (0\.\d+) for `person` \|", page)
    assert [f"{height:.3f}" for height in heights] == [figure for pair in stated for figure in pair]
