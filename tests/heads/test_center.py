"""The centre head: losses in float64, decode against the codec, transfer, flip, ONNX on photographs."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from nas.codecs.affine import image_affine, warp_image
from nas.codecs.center import SIGMA, CenterCodec
from nas.codecs.types import People
from nas.graph import Tracer, to_onnx
from nas.heads import HeadPlace, Level
from nas.heads.center import PEAK_WEIGHT, CenterHead
from nas.models import PoseNet, calibrate, to_input, transfer
from nas.space import ArchManager, SearchSpace
from nas.space.arch import Arch
from nas.space.arch import Head as HeadArch
from nas.space.options import freeze_options
from nas.space.skeleton import Skeleton, skeleton_names
from nas.timing.session import open_session

RESOLUTION = (128, 160)
GRID = (32, 40)
TERMS = {"heatmaps", "center", "regression", "bone", "offset"}


def arch(**options: Any) -> HeadArch:
    return HeadArch("center", freeze_options({"people": 30, "activation": "sigmoid"} | options))


def build(skeleton: str = "coco17", *, people: int = 30) -> tuple[CenterHead, CenterCodec]:
    loaded = Skeleton.load(skeleton)
    options = {"people": (people,), "activation": ("sigmoid", "softsign")}
    head = CenterHead(HeadPlace((Level(16, None, 4),), loaded, (RESOLUTION,), options))
    return head, CenterCodec(loaded, RESOLUTION, {"people": people})


def crowd(seed: int, joints: int, count: int = 4) -> People:
    rng = np.random.default_rng(seed)
    xy = rng.uniform([0, 0], [RESOLUTION[1] - 1, RESOLUTION[0] - 1], (count, joints, 2))
    keypoints = np.concatenate([xy, rng.integers(0, 3, (count, joints, 1))], axis=-1)
    mask = np.ones(RESOLUTION, bool)
    mask[:40, :40] = False
    return People(keypoints, np.linspace(900, 90, count), np.zeros((count, 4)), mask)


def batch(*arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.stack([a[name] for a in arrays])) for name in arrays[0]}


def noise(joints: int, seed: int = 0, grid: tuple[int, int] = GRID, images: int = 2) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "heatmaps": torch.rand(images, joints, *grid, generator=generator),
        "center": torch.rand(images, 1, *grid, generator=generator),
        "regressions": torch.randn(images, 2 * joints, *grid, generator=generator),
        "offsets": torch.randn(images, 2 * joints, *grid, generator=generator),
    }


@pytest.mark.parametrize("skeleton", skeleton_names())
@pytest.mark.parametrize("people", [1, 10, 30])
@pytest.mark.parametrize("kind", ["people", "noise"])
def test_decode_equals_the_codecs_reference(skeleton: str, people: int, kind: str) -> None:
    head, codec = build(skeleton, people=people)
    outputs = noise(codec.keypoints, 3)
    if kind == "people":
        ideal = batch(*(codec.ideal_maps(crowd(seed, codec.keypoints, 12)) for seed in (0, 1)))
        outputs = {name: ideal[name] + 0.02 * maps.double() for name, maps in outputs.items()}
    decoded = head.decode(outputs, arch(people=people))
    assert decoded["keypoints"].shape == (2, people, codec.keypoints, 3)
    assert decoded["scores"].shape == (2, people)
    for image in range(2):
        reference = codec.decode_maps({name: maps[image].numpy() for name, maps in outputs.items()})
        assert (reference["scores"] > 0).any()
        for name, value in decoded.items():
            np.testing.assert_allclose(value[image].numpy(), reference[name], atol=1e-3, err_msg=name)


def test_few_cells_give_padding_and_so_does_what_is_not_finite() -> None:
    head, codec = build()
    decoded = head.decode(noise(17, grid=(4, 5)), arch())
    assert decoded["keypoints"].shape == (2, 30, 17, 3)
    assert not decoded["keypoints"][:, 20:].any()
    for value in (torch.nan, -torch.inf):
        outputs = {name: torch.full_like(maps, value) for name, maps in noise(17).items()}
        for people in (1, 30):
            decoded = head.decode(outputs, arch(people=people))
            poses = codec.group({name: part[0].numpy() for name, part in decoded.items()})
            assert len(poses) == 0
    empty = {name: torch.zeros_like(maps) for name, maps in noise(17).items()}
    decoded = head.decode(empty, arch())
    assert not decoded["scores"].any()
    assert not decoded["keypoints"].any()
    assert len(codec.group({name: value[0].numpy() for name, value in decoded.items()})) == 0


def test_loss_by_loops() -> None:
    head, codec = build("crowdpose14")
    shown = [crowd(seed, 14, count) for seed, count in ((1, 3), (2, 1))]
    shown.append(People(np.zeros((0, 14, 3)), np.zeros(0), np.zeros((0, 4))))
    encoded = [codec.encode(people) for people in shown]
    outputs = {name: maps.double() for name, maps in noise(14, images=3).items()}
    found = head.loss(outputs, batch(*encoded))
    assert found.keys() == TERMS

    maps = {name: value.numpy() for name, value in outputs.items()}
    expected = dict.fromkeys(TERMS, 0.0)
    counts = dict.fromkeys(TERMS, 0)
    for image, targets in enumerate(encoded):
        for name, planes in (("heatmaps", 14), ("center", 1)):
            target = targets[name].astype(float)
            error = (maps[name][image] - target) ** 2 * (1 + PEAK_WEIGHT * target) * targets["mask"]
            expected[name] += error.sum() / planes / 4  # three and one people
        for person, joints in enumerate(targets["joints"].astype(float)):
            for cell, taught in targets["discs"][person]:
                place = np.array([cell % GRID[1], cell // GRID[1]])
                seen = 8 * maps["regressions"][image].reshape(2, 14, -1)[:, :, cell].T + place
                labelled = (joints[:, 2] > 0) & (taught > 0)
                expected["regression"] += np.abs(seen - joints[:, :2])[labelled].sum() / 2
                counts["regression"] += int(labelled.sum())
                for start, end in codec.skeleton.limb_index:
                    if labelled[start] and labelled[end]:
                        lengths = (np.linalg.norm(at[end] - at[start]) for at in (seen, joints[:, :2]))
                        expected["bone"] += abs(next(lengths) - next(lengths))
                        counts["bone"] += 1
            for joint in range(14):
                for cell, taught in targets["blocks"][person, joint]:
                    if taught and joints[joint, 2]:
                        place = np.array([cell % GRID[1], cell // GRID[1]])
                        seen = maps["offsets"][image].reshape(2, 14, -1)[:, joint, cell] + place
                        expected["offset"] += np.abs(seen - joints[joint, :2]).sum() / 2
                        counts["offset"] += 1
    for name, term in found.items():
        assert float(term) == pytest.approx(expected[name] / max(counts[name], 1), rel=1e-5), name


def test_loss_gradient_is_finite_and_right_and_a_perfect_network_costs_nothing() -> None:
    head, codec = build()
    people = crowd(1, 17, 2)
    targets = {name: value.double() if value.is_floating_point() else value for name, value in
               batch(codec.encode(people)).items()}  # fmt: skip
    perfect = {name: maps.double().requires_grad_() for name, maps in batch(codec.ideal_maps(people)).items()}
    terms = head.loss(perfect, targets)
    assert sum(terms.values()) < 1e-5
    assert head.distill(perfect, perfect) == 0
    sum(terms.values()).backward()
    assert all(maps.grad.isfinite().all() for maps in perfect.values())

    joints = torch.zeros(1, 30, 17, 3, dtype=torch.float64)
    joints[0, :2] = torch.rand(2, 17, 3, dtype=torch.float64) + 0.3
    joints[..., 2] = (joints[..., 2] > 0.8).double()
    small = {
        "heatmaps": torch.rand(1, 17, 1, 2, dtype=torch.float64),
        "center": torch.rand(1, 1, 1, 2, dtype=torch.float64),
        "mask": torch.ones(1, 1, 2, dtype=torch.float64),
        "joints": joints,
        "discs": torch.tensor([[0, 1], [1, 0]]).expand(1, 30, 2, 2),
        "blocks": torch.tensor([[1, 1]]).expand(1, 30, 17, 1, 2),
    }
    maps = torch.rand(1, 18, 1, 2, dtype=torch.float64, requires_grad=True)
    places = torch.randn(1, 34, 1, 2, dtype=torch.float64, requires_grad=True)

    def total(maps: Tensor, places: Tensor) -> Tensor:
        outputs = {"regressions": places, "offsets": -places}
        outputs |= {"heatmaps": maps[:, :17], "center": maps[:, 17:]}
        return torch.stack(list(head.loss(outputs, small).values())).sum()

    assert torch.autograd.gradcheck(total, (maps, places))


def test_losses_of_half_precision_are_computed_in_single() -> None:
    head, codec = build()
    targets = batch(codec.encode(crowd(1, 17)), codec.encode(crowd(2, 17)))
    outputs = {name: torch.full_like(maps, 300.0).bfloat16() for name, maps in noise(17).items()}
    for term in (*head.loss(outputs, targets).values(), head.distill(outputs, noise(17))):
        assert term.dtype == torch.float32
        assert term.isfinite()


def test_unlabelled_joints_and_masked_cells_cost_nothing() -> None:
    head, codec = build()
    people = crowd(1, 17)
    people.keypoints[:, 5, 2] = 0
    targets = batch(codec.encode(people))
    outputs = noise(17, images=1)
    before = head.loss(outputs, targets)
    outputs["regressions"][:, [5, 22]] += 7
    outputs["offsets"][:, [5, 22]] += 7
    outputs["heatmaps"] += 3 * (targets["mask"][:, None] == 0)
    after = head.loss(outputs, targets)
    assert (targets["mask"] == 0).any()
    assert all(torch.equal(before[name], after[name]) for name in TERMS)


def test_distillation_by_formula() -> None:
    head, _ = build()
    student, teacher = ({k: v.double() for k, v in noise(17, seed).items()} for seed in (1, 2))
    people = float(teacher["center"].sum()) / (2 * np.pi * SIGMA**2)
    expected = 0.0
    for name in ("heatmaps", "center"):
        error = (student[name] - teacher[name]) ** 2 * (1 + PEAK_WEIGHT * teacher[name])
        expected += float(error.sum()) / people / error.shape[1]
    for name, seen, cells in (("regressions", "center", 8), ("offsets", "heatmaps", 1)):
        distance = cells * (student[name] - teacher[name]).abs().reshape(2, 2, 17, *GRID)
        weights = teacher[seen].expand(2, 17, *GRID)
        expected += float((distance.mean(1) * weights).sum() / weights.sum())
    assert float(head.distill(student, teacher)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("skeleton", skeleton_names())
def test_flip_merge_of_the_mirrored_people_changes_nothing(skeleton: str) -> None:
    head, codec = build(skeleton)
    shown = crowd(5, codec.keypoints)
    flip = codec.skeleton.flip_index
    keypoints = shown.keypoints[:, list(flip)].copy()
    keypoints[..., 0] = RESOLUTION[1] - 1 - keypoints[..., 0]
    both = (People(points, shown.areas, shown.boxes) for points in (shown.keypoints, keypoints))
    plain, mirrored = (batch(codec.ideal_maps(people)) for people in both)
    merged = head.merge_flip(plain, mirrored, flip)
    for name, maps in plain.items():
        torch.testing.assert_close(merged[name], maps, atol=1e-5, rtol=0)


def test_necks_of_other_strides_are_named() -> None:
    with pytest.raises(ValueError, match="ends at stride 4"):
        CenterHead(HeadPlace((Level(16, None, 8),), Skeleton.load("coco17"), (RESOLUTION,), {}))


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    """Two necks, elastic widths, both activations, three input sizes."""
    stage: dict[str, Any] = {"type": "mbconv", "activation": "relu", "kernel": 3, "expansion": 2, "depth": 1}
    data = {
        "version": 1,
        "name": "centres",
        "task": "image",
        "resolution": [[64, 96], [96, 96], list(RESOLUTION)],
        "stem": {"width": [8], "activation": "relu"},
        "stages": [{**stage, "stride": 2, "width": [width, 2 * width]} for width in (8, 16, 16)],
        "necks": {
            "fpn": {"widths": [[16, 24], 16, [8, 16]], "convolution": ["separable", "dense"]},
            "fusion_deconv": {"upsampler": "bilinear", "widths": [[8, 16], 8]},
        },
        "heads": {
            "center": {
                "neck": ["fusion_deconv", "fpn"],
                "options": {"people": [1, 10, 30], "activation": ["softsign", "sigmoid"]},
            },
        },
    }
    return SearchSpace.from_json(data)


@pytest.fixture(scope="module")
def net(space: SearchSpace) -> PoseNet:
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)  # maps without cells of equal height, whose order is anyone's
    net = PoseNet(space, "crowdpose14").eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
        for heads in net.heads.values():
            head = heads["center"]
            for part, factor in ((head.maps, 20), (head.regressions, 2), (head.offsets, 10)):
                for weight in part.last_weights():
                    weight.mul_(factor)  # so that people are seen
    return net


def test_transfer_is_exact_at_every_size_on_every_neck(space: SearchSpace, net: PoseNet) -> None:
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(1)
    seen = set()
    for resolution in space.resolutions * 4:
        drawn = ArchManager(space).sample(rng, resolution=resolution)
        images = torch.randn(2, 3, *resolution, generator=generator)
        stats = calibrate(net, drawn, images)
        with torch.no_grad():
            expected, plain = net(images, drawn, stats), transfer(net, drawn, stats)
            found = plain(images)
        for name, value in expected.items():
            assert torch.equal(value, found[name]), name
        decoded = plain.decode(found)
        assert all(torch.equal(net.decode(expected, drawn)[name], value) for name, value in decoded.items())
        seen.add((drawn.neck.type, drawn.head.options))
    assert len(seen) > 6


def test_untrained_maps_are_near_an_empty_image(space: SearchSpace) -> None:
    torch.manual_seed(0)
    fresh = PoseNet(space, "coco17").train()
    for activation in ("sigmoid", "softsign"):
        outputs = fresh(torch.randn(2, 3, *RESOLUTION), largest(space, activation=activation))
        for name in ("heatmaps", "center"):
            assert 0.04 < outputs[name].min() <= outputs[name].max() < 0.06
        assert outputs["regressions"].abs().max() < 0.5


@pytest.mark.parametrize("people", [1, 10, 30])
def test_onnx_finds_the_same_poses_in_photographs(
    shared_data: Any, space: SearchSpace, net: PoseNet, people: int
) -> None:
    """Positions within 1e-4 px of what torch decodes from the same maps."""
    paths = sorted((shared_data / "coco_mini/images").glob("*.jpg"))[:6]
    pictures = [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in paths]
    photographs = to_input(
        torch.from_numpy(
            np.stack([warp_image(p, image_affine(p.shape[:2], RESOLUTION), RESOLUTION) for p in pictures])
        )
    )
    for neck, activation in (("fpn", "softsign"), ("fusion_deconv", "sigmoid")):
        drawn = largest(space, neck=neck, activation=activation, people=people)
        plain = transfer(net, drawn, calibrate(net, drawn, photographs))
        model = to_onnx(Tracer.of(plain)(drawn), plain, raw=True)
        session = open_session(model.SerializeToString(), threads=1, name="net")
        names = [output.name for output in session.get_outputs()]
        for image in photographs.split(1):
            found = dict(zip(names, session.run(None, {"images": image.numpy()}), strict=True))
            raw = {
                name[4:]: torch.from_numpy(part) for name, part in found.items() if name.startswith("raw.")
            }
            with torch.no_grad():
                maps, expected = plain(image), plain.decode(raw)
            for name, part in maps.items():
                np.testing.assert_allclose(
                    raw[name].numpy(), part.numpy(), rtol=0, atol=1e-4 * part.abs().max(), err_msg=name
                )
            assert found["keypoints"].shape == (1, people, 14, 3)
            assert (expected["scores"] > 0).any()
            for name, value in expected.items():
                np.testing.assert_allclose(found[name], value.numpy(), rtol=0, atol=1e-4, err_msg=name)


def largest(space: SearchSpace, **choices: int | str) -> Arch:
    """The largest arch with some of its head's choices."""
    indices = {dimension.name: len(dimension.choices) - 1 for dimension in space.dimensions}
    for dimension in space.dimensions:
        name = dimension.name.removeprefix("head.center.")
        if name in choices:
            indices[dimension.name] = dimension.choices.index(choices[name])
    return ArchManager(space).decode(indices)
