"""The part affinity head: losses in float64, decode against the codec, transfer, flip."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nas.codecs.limb_sets import LIMB_SETS
from nas.codecs.part_affinity import PartAffinityCodec
from nas.codecs.types import People
from nas.heads import HeadPlace, Level
from nas.heads.part_affinity import SCALE, PartAffinityHead
from nas.models import PoseNet, calibrate, transfer
from nas.space import ArchManager, SearchSpace
from nas.space.arch import Head as HeadArch
from nas.space.parts import part
from nas.space.skeleton import Skeleton, skeleton_names
from nas.space.specs import HeadSpec, OptionValue

RESOLUTION = (128, 160)
GRID = (16, 20)
ARCH = HeadArch("part_affinity", (("refinement", 1), ("width", 16)))


def build(
    skeleton: str = "coco17", **options: tuple[OptionValue, ...]
) -> tuple[PartAffinityHead, PartAffinityCodec]:
    """A head of these choices, and the codec of the last ones."""
    loaded = Skeleton.load(skeleton)
    choices = {
        name: (value,) for name, value in part(HeadSpec, "part_affinity").complete({"width": 16}).items()
    } | options
    head = PartAffinityHead(HeadPlace((Level(16, None, 8),), loaded, (RESOLUTION,), choices))
    last = {name: values[-1] for name, values in choices.items()}
    return head, PartAffinityCodec(loaded, RESOLUTION, last, stride=8)


def people(seed: int, joints: int, count: int = 4) -> People:
    rng = np.random.default_rng(seed)
    xy = rng.uniform([0, 0], [RESOLUTION[1] - 1, RESOLUTION[0] - 1], (count, joints, 2))
    keypoints = np.concatenate([xy, rng.integers(0, 3, (count, joints, 1))], axis=-1)
    mask = np.ones(RESOLUTION, bool)
    mask[:40, :40] = False
    return People(keypoints, np.full(count, 900.0), np.zeros((count, 4)), mask)


def batch(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.asarray(array))[None] for name, array in arrays.items()}


def noise(head: PartAffinityHead, seed: int = 0, *, stages: int = 1) -> dict[str, Tensor]:
    """Random maps of every stage, the last one's under the plain names."""
    generator = torch.Generator().manual_seed(seed)
    counts = {"heatmaps": head.keypoints + 1, "affinities": 2 * len(head.limbs)}
    return {
        name if stage == stages - 1 else f"{name}_{stage}": torch.randn(2, count, *GRID, generator=generator)
        for stage in range(stages)
        for name, count in counts.items()
    }


@pytest.mark.parametrize("skeleton", skeleton_names())
@pytest.mark.parametrize("kind", ["people", "noise"])
@pytest.mark.parametrize("limbs", LIMB_SETS)
def test_decode_equals_the_codecs_reference(skeleton: str, kind: str, limbs: str) -> None:
    head, codec = build(skeleton, limbs=(limbs,))
    outputs = noise(head, 3)
    if kind == "people":
        encoded = batch(codec.encode(people(0, codec.keypoints, 12)))
        outputs = {name: encoded[name] + 0.02 * maps for name, maps in outputs.items()}
    decoded = head.decode(outputs, ARCH)
    assert decoded["candidates"].shape == (2, codec.keypoints, 30, 3)
    assert decoded["affinities"].shape == (2, len(codec.limbs), 30, 30)
    for image in range(2):
        reference = codec.decode_maps({name: maps[image].numpy() for name, maps in outputs.items()})
        for name, value in decoded.items():
            np.testing.assert_allclose(value[image].numpy(), reference[name], atol=1e-4, err_msg=name)
        assert (reference["candidates"][..., 2] > 0).any()
        assert (reference["affinities"] > 0).any()


def test_a_joint_midway_between_cells_is_one_candidate_in_torch_too() -> None:
    head, codec = build()
    keypoints = np.zeros((1, 17, 3))
    keypoints[0, :, :] = [63.5, 71.5, 2]
    keypoints[0, 5:] = [0, 0, 2]
    targets = batch(codec.encode(People(keypoints, np.ones(1), np.zeros((1, 4)))))
    candidates = head.decode(targets, ARCH)["candidates"][0]
    assert ((candidates[..., 2] > 0).sum(1) == 1).all()
    places = torch.from_numpy(keypoints[0, :, :2]).float()
    torch.testing.assert_close(candidates[:, 0, :2], places, atol=0.01, rtol=0)


def test_maps_of_few_cells_give_fewer_candidates() -> None:
    head, _ = build()
    outputs = {name: maps[:, :, :4, :5] for name, maps in noise(head).items()}
    assert head.decode(outputs, ARCH)["candidates"].shape == (2, 17, 20, 3)


def test_maps_that_are_not_finite_give_nothing() -> None:
    head, codec = build()
    outputs = {name: torch.full_like(maps, torch.nan) for name, maps in noise(head).items()}
    decoded = head.decode(outputs, ARCH)
    assert not any(value.any() for value in decoded.values())
    assert len(codec.group({name: value[0].numpy() for name, value in decoded.items()})) == 0


def test_loss_is_the_masked_squared_error_of_every_stage() -> None:
    head, codec = build()
    targets = {
        name: torch.cat(values)
        for name, values in {
            name: [batch(codec.encode(people(seed, 17)))[name] for seed in (1, 2)]
            for name in ("heatmaps", "affinities", "mask")
        }.items()
    }
    outputs = noise(head, stages=3)
    found = head.loss(outputs, targets)
    assert found.keys() == outputs.keys()
    mask = targets["mask"].double().numpy()
    assert 0 < mask.mean() < 1
    for name, term in found.items():
        error = outputs[name].double().numpy() - targets[name.partition("_")[0]].double().numpy()
        expected = (
            sum((error[image] ** 2 * mask[image]).sum() / (GRID[0] * GRID[1]) for image in range(2)) / 2
        )
        assert float(term) == pytest.approx(SCALE * expected, rel=1e-5)


def test_loss_gradient_and_the_loss_of_a_perfect_network() -> None:
    head, codec = build()
    targets = {name: value.double() for name, value in batch(codec.encode(people(1, 17))).items()}
    corner = {name: value[..., 4:8, 3:7] for name, value in targets.items()}
    maps = [torch.randn_like(corner[name]).requires_grad_() for name in ("heatmaps", "affinities")]
    assert torch.autograd.gradcheck(
        lambda heatmaps, affinities: sum(
            head.loss({"heatmaps": heatmaps, "affinities": affinities}, corner).values()
        ),
        maps,
    )
    perfect = {name: targets[name] for name in ("heatmaps", "affinities")}
    assert sum(head.loss(perfect, targets).values()) == 0
    assert head.distill(perfect, perfect) == 0


def test_losses_of_half_precision_are_computed_in_single() -> None:
    head, codec = build()
    targets = batch(codec.encode(people(1, 17)))
    outputs = {name: torch.full_like(targets[name], 1000.0).bfloat16() for name in ("heatmaps", "affinities")}
    for term in (*head.loss(outputs, targets).values(), head.distill(outputs, noise(head))):
        assert term.dtype == torch.float32
        assert term.isfinite()


def test_distillation_takes_the_last_stages_whatever_their_number() -> None:
    head, _ = build()
    student, teacher = noise(head, 1, stages=1), noise(head, 2, stages=3)
    expected = sum(
        (student[name] - teacher[name]).double().square().sum(1).mean() for name in ("heatmaps", "affinities")
    )
    assert float(head.distill(student, teacher)) == pytest.approx(SCALE * float(expected), rel=1e-5)


@pytest.mark.parametrize("skeleton", skeleton_names())
@pytest.mark.parametrize("limbs", LIMB_SETS)
def test_flip_merge_of_the_mirrored_people_changes_nothing(skeleton: str, limbs: str) -> None:
    head, codec = build(skeleton, limbs=("bridged", limbs))
    shown = people(5, codec.keypoints)
    flip = codec.skeleton.flip_index
    keypoints = shown.keypoints[:, list(flip)].copy()
    keypoints[..., 0] = RESOLUTION[1] - 1 - keypoints[..., 0]
    plain, mirrored = (
        batch(codec.encode(People(points, shown.areas, shown.boxes)))
        for points in (shown.keypoints, keypoints)
    )
    for targets in (plain, mirrored):
        targets.pop("mask")
        targets |= {f"{name}_0": maps / 2 for name, maps in tuple(targets.items())}
    merged = head.merge_flip(plain, mirrored, flip)
    assert merged.keys() == plain.keys()
    for name, maps in plain.items():
        torch.testing.assert_close(merged[name], maps, atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    """Two heads, two necks, elastic widths, refinements and input sizes."""
    stage: dict[str, Any] = {
        "type": "mbconv",
        "activation": "relu",
        "kernel": [3],
        "expansion": [2],
        "depth": [1],
    }
    data = {
        "version": 1,
        "name": "two-heads",
        "task": "image",
        "resolution": [[64, 96], [96, 96], [128, 160]],
        "stem": {"width": [8], "activation": "relu"},
        "stages": [{**stage, "stride": 2, "width": [8, 16]}, {**stage, "stride": 2, "width": [16, 24]}],
        "necks": {"none": {}, "fusion_deconv": {"upsampler": ["bilinear"], "widths": [[8, 16], [8]]}},
        "heads": {
            "part_affinity": {
                "neck": "none",
                "options": {"width": [8, 16, 24], "refinement": [0, 1, 2], "limbs": list(LIMB_SETS)},
            },
            "associative_embedding": {"neck": "fusion_deconv"},
        },
    }
    return SearchSpace.from_json(data)


def test_transfer_is_exact_at_every_size_width_and_refinement(space: SearchSpace) -> None:
    generator = torch.Generator().manual_seed(0)
    net = PoseNet(space, "crowdpose14").eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    rng = np.random.default_rng(0)
    seen = set()
    own = len(net.skeleton.limbs)
    for resolution in space.resolutions * 4:
        arch = ArchManager(space).sample(rng, head="part_affinity", resolution=resolution)
        images = torch.randn(2, 3, *resolution, generator=generator)
        stats = calibrate(net, arch, images)
        with torch.no_grad():
            expected, actual = net(images, arch, stats), transfer(net, arch, stats)(images)
        assert expected.keys() == actual.keys()
        assert len(expected) == 2 * (1 + int(arch.head.option("refinement")))
        assert (expected["affinities"].shape[1] > 2 * own) == (arch.head.option("limbs") != "skeleton")
        for name, value in expected.items():
            assert torch.equal(value, actual[name]), name
        seen.add(arch.head.options)
    assert len(seen) > 4


def test_untrained_outputs_are_near_an_empty_image_and_cost_a_few_units(space: SearchSpace) -> None:
    """So that one learning rate fits it beside other heads."""
    torch.manual_seed(0)
    arch = ArchManager(space).largest(head="part_affinity", resolution=RESOLUTION)
    net = PoseNet(space, "coco17").train()
    codec = PartAffinityCodec(net.skeleton, RESOLUTION, dict(arch.head.options), stride=8)
    outputs = net(torch.randn(1, 3, *RESOLUTION), arch)
    for name, term in net.head(arch).loss(outputs, batch(codec.encode(people(0, 17, 2)))).items():
        assert 0.1 < term.item() < 20 * len(codec.limbs) / len(net.skeleton.limbs), name
