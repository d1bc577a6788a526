"""Heads: losses against formulas in float64, decode against the codecs' reference."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from nas.codecs.base import Codec
from nas.codecs.types import People
from nas.heads import HeadPlace, Level, PoseHead
from nas.heads.associative_embedding import AssociativeEmbeddingHead, tag_loss
from nas.heads.base import quarter_shift
from nas.space.arch import Head as HeadArch
from nas.space.options import freeze_options
from nas.space.parts import part
from nas.space.skeleton import Skeleton
from nas.space.specs import HeadSpec, OptionValue

SKELETON = Skeleton.load("crowdpose14")
RESOLUTION = (96, 64)
CROP_HEADS = [("heatmap", {}), ("simcc", {"split": 2, "label": "gaussian"})]


def build(name: str, options: Mapping[str, OptionValue]) -> tuple[PoseHead, Codec, HeadArch]:
    spec = part(HeadSpec, name)
    levels = (Level(16, 8, 4), Level(8, 8, 2)) if spec.task == "image" else (Level(16, 8, 4),)
    options = part(HeadSpec, name).complete(options)
    choices = {option: (value,) for option, value in options.items()}
    head = spec.load_module()(HeadPlace(levels, SKELETON, (RESOLUTION,), choices))
    codec = spec.load_codec()(SKELETON, RESOLUTION, dict(options), stride=4)
    return head, codec, HeadArch(name, freeze_options(options))


def person(rng: np.random.Generator) -> People:
    xy = rng.uniform([2, 2], [61, 93], (14, 2))
    keypoints = np.concatenate([xy, np.full((14, 1), 2.0)], axis=1)[None]
    return People(keypoints, np.array([3000.0]), np.array([[0.0, 0.0, 63.0, 95.0]]))


def batch(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.asarray(array))[None] for name, array in arrays.items()}


@pytest.mark.parametrize(("name", "options"), CROP_HEADS)
@pytest.mark.parametrize("seed", range(5))
def test_crop_decode_finds_the_encoded_person(name: str, options: dict[str, int | str], seed: int) -> None:
    """Within a quarter of a pixel for two bins per pixel; half a cell of stride 4 on a map's border."""
    head, codec, arch = build(name, options)
    people = person(np.random.default_rng(seed))
    targets = codec.encode(people)
    outputs = batch(targets)
    outputs.pop("weights")
    if name == "simcc":
        outputs = {axis: torch.log(target + 1e-12) for axis, target in outputs.items()}
    decoded = head.decode(outputs, arch)
    poses = codec.group({key: value[0].numpy() for key, value in decoded.items()})
    error = np.abs(poses.keypoints[0, :, :2] - people.keypoints[0, :, :2]).max()
    assert error <= (0.2501 if name == "simcc" else 2.001)


@pytest.mark.parametrize(("name", "options"), CROP_HEADS)
def test_perfect_outputs_cost_least(name: str, options: dict[str, int | str]) -> None:
    head, codec, _ = build(name, options)
    targets = batch(codec.encode(person(np.random.default_rng(0))))
    perfect = {key: value for key, value in targets.items() if key != "weights"}
    if name == "simcc":
        perfect = {axis: torch.log(target + 1e-12) for axis, target in perfect.items()}
    worse = {key: value + 0.3 * torch.randn_like(value) for key, value in perfect.items()}
    loss = sum(head.loss(perfect, targets).values())
    assert float(loss) < 1e-5
    assert float(sum(head.loss(worse, targets).values())) > 0.01
    assert float(head.distill(perfect, perfect)) < 1e-5
    assert float(head.distill(worse, perfect)) > 0.01


def test_unlabelled_joints_cost_nothing() -> None:
    for name, options in CROP_HEADS:
        head, codec, _ = build(name, options)
        people = person(np.random.default_rng(0))
        people.keypoints[0, 3, 2] = 0
        targets = batch(codec.encode(people))
        outputs = {key: value.clone() for key, value in targets.items() if key != "weights"}
        before = sum(head.loss(outputs, targets).values())
        for value in outputs.values():
            value[:, 3] += torch.randn_like(value[:, 3])
        assert torch.equal(sum(head.loss(outputs, targets).values()), before)


@pytest.mark.parametrize(("name", "options"), [*CROP_HEADS, ("associative_embedding", {})])
def test_flip_merge_of_a_mirrored_output_is_the_output(name: str, options: dict[str, int | str]) -> None:
    head, _, _ = build(name, options)
    index = list(SKELETON.flip_index)
    if name == "simcc":
        outputs = {"x": torch.randn(1, 14, 128), "y": torch.randn(1, 14, 192)}
        mirrored = {"x": outputs["x"][:, index].flip(2), "y": outputs["y"][:, index]}
    elif name == "heatmap":
        outputs = {"heatmaps": torch.randn(1, 14, 24, 16)}
        mirrored = {"heatmaps": outputs["heatmaps"][:, index].flip(3)}
    else:
        outputs = {
            "heatmaps_4": torch.randn(1, 14, 24, 16),
            "tags": torch.randn(1, 14, 24, 16, 1),
            "heatmaps_2": torch.randn(1, 14, 48, 32),
        }
        mirrored = {key: value[:, index].flip(3) for key, value in outputs.items()}
    merged = head.merge_flip(outputs, mirrored, index)
    for key, value in outputs.items():
        torch.testing.assert_close(merged[key][..., :1] if key == "tags" else merged[key], value)
    if "tags" in merged:
        torch.testing.assert_close(merged["tags"][..., 1:], outputs["tags"])


def test_quarter_shift_goes_to_the_higher_neighbour() -> None:
    maps = torch.zeros(1, 1, 5, 5)
    maps[0, 0, 2, 2], maps[0, 0, 2, 3], maps[0, 0, 1, 2] = 1.0, 0.5, 0.4
    x, y = quarter_shift(maps, torch.tensor([[[2]]]), torch.tensor([[[2]]]))
    assert (float(x), float(y)) == (2.25, 1.75)


def test_tag_loss_by_hand() -> None:
    """Two people of two joints each: tags 1, 3 and 5, 5 -> pull (1 + 0) / 2, push exp(-9) / 2."""
    tags = torch.tensor([[[[1.0, 5.0]], [[3.0, 5.0]]]], dtype=torch.float64)
    joints = torch.tensor([[[[0, 1], [2, 1]], [[1, 1], [3, 1]], [[0, 0], [0, 0]]]])
    pull, push = tag_loss(tags, joints)
    assert float(pull) == pytest.approx(0.5)
    assert float(push) == pytest.approx(0.5 * np.exp(-9.0))


def test_tag_loss_ignores_unlabelled_joints_and_absent_people() -> None:
    tags = torch.tensor([[[[1.0, 9.0]], [[3.0, 5.0]]]], dtype=torch.float64, requires_grad=True)
    joints = torch.tensor([[[[0, 1], [2, 0]], [[0, 0], [0, 0]]]])
    pull, push = tag_loss(tags, joints)
    assert pull.item() == push.item() == 0.0


def test_tag_loss_gradient() -> None:
    joints = torch.tensor([[[[0, 1], [7, 1]], [[2, 1], [5, 0]], [[3, 1], [6, 1]]]])
    tags = torch.randn(1, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: sum(tag_loss(t, joints)), (tags,))


def test_mask_silences_heatmap_errors() -> None:
    head, codec, _ = build("associative_embedding", {})
    targets = batch(codec.encode(person(np.random.default_rng(0))))
    outputs = {
        "heatmaps_4": targets["heatmaps_4"].clone(),
        "heatmaps_2": targets["heatmaps_2"].clone(),
        "tags": torch.zeros(1, 14, 24, 16, 1),
    }
    outputs["heatmaps_4"][:, :, :12] += 1
    targets["mask_4"] = targets["mask_4"].clone()
    assert float(head.loss(outputs, targets)["heatmap_4"]) == pytest.approx(0.5)
    targets["mask_4"][:, :12] = 0
    assert float(head.loss(outputs, targets)["heatmap_4"]) == 0.0


def test_associative_embedding_decode_equals_the_codec_reference() -> None:
    """The torch decode and the codec's numpy decode give the same candidates on random maps."""
    head, codec, arch = build("associative_embedding", {})
    assert isinstance(head, AssociativeEmbeddingHead)
    generator = torch.Generator().manual_seed(0)
    outputs = {
        "heatmaps_4": torch.rand(1, 14, 24, 16, generator=generator),
        "heatmaps_2": torch.rand(1, 14, 48, 32, generator=generator),
        "tags": torch.rand(1, 14, 24, 16, 1, generator=generator),
    }
    ours = head.decode(outputs, arch)
    reference = codec.decode_maps({key: value[0].numpy() for key, value in outputs.items()})
    for key, value in ours.items():
        np.testing.assert_allclose(value[0].numpy(), reference[key], rtol=1e-4, atol=1e-5, err_msg=key)
