"""Dense head: losses against formulas, decode against the codec, branches."""

import numpy as np
import pytest
import torch
from dense_samples import BRANCH, DECODES, JOINTS, NOBODY, SKELETON, people, targets_of
from torch import Tensor

from nas.codecs.dense import DenseCodec
from nas.codecs.dense import suppress as reference
from nas.codecs.types import People
from nas.heads import HeadPlace, Level, Outputs
from nas.heads.dense import DenseHead, suppress
from nas.layers import Context, ElasticBatchNorm2d
from nas.space.arch import Head as HeadArch
from nas.space.options import freeze_options

RESOLUTION = (96, 128)
STRIDES = (32, 16, 8)


def build(decode: str, people: int = 30) -> tuple[DenseHead, DenseCodec, HeadArch]:
    levels = tuple(Level(16, None, stride) for stride in (*STRIDES, 4))
    head = DenseHead(HeadPlace(levels, SKELETON, (RESOLUTION,), {"decode": (decode,), "people": (people,)}))
    options = {"decode": decode, "people": people}
    return (
        head,
        DenseCodec(SKELETON, RESOLUTION, options, stride=(*STRIDES, 4)),
        HeadArch("dense", freeze_options(options)),
    )


def random_outputs(decode: str, *, batch: int = 1, seed: int = 0, scale: float = 1.0) -> Outputs:
    generator = torch.Generator().manual_seed(seed)
    return {
        f"{BRANCH[decode]}_{stride}": scale
        * torch.randn(batch, 5 + 3 * JOINTS, 96 // stride, 128 // stride, generator=generator)
        for stride in STRIDES
    }


def ideal(codec: DenseCodec, group: People) -> Outputs:
    maps = codec.ideal_maps(group)
    return {name: torch.from_numpy(part)[None].float() for name, part in maps.items()}


def test_loss_of_one_to_one_is_the_plain_formula() -> None:
    """Sums over people and cells in plain numpy, on outputs where each person has one obvious cell."""
    head, codec, _ = build("one_to_one")
    group = people(np.random.default_rng(0), 3)
    outputs = {name: part.double() for name, part in ideal(codec, group).items()}
    cells = [(name, *np.argwhere(part[0, 4].numpy() > 0)[:, ::-1].T) for name, part in outputs.items()]
    generator = torch.Generator().manual_seed(0)
    outputs = {
        name: part + 0.02 * torch.randn(part.shape, generator=generator).double()
        for name, part in outputs.items()
    }
    targets = targets_of(codec, group)
    terms = head.loss(outputs, targets)
    similarity, distance, confidence, overlap, objectness = [], [], [], [], 0.0
    for name, xs, ys in cells:
        stride, maps = int(name.split("_")[1]), outputs[name][0].numpy()
        wanted = np.zeros(maps.shape[1:])
        for x, y in zip(xs, ys, strict=True):
            raw, place = maps[:, y, x], (np.array([x, y]) + 0.5) * stride - 0.5
            joints = raw[5:-JOINTS].reshape(2, JOINTS).T * stride + place
            middle, size = raw[:2] * stride + place, np.exp(raw[2:4]) * stride
            box = np.concatenate([middle - size / 2, middle + size / 2])
            distances = [np.abs(target.numpy() - box).sum() for target in targets["boxes"][0, :3]]
            person = int(np.argmin(distances))
            target, truth = (targets[part][0, person].double().numpy() for part in ("boxes", "joints"))
            area = (target[2:] - target[:2]).prod()
            error = ((joints - truth[:, :2]) ** 2).sum(1) / (2 * area * (2 * np.array(SKELETON.sigmas)) ** 2)
            off = np.abs(joints - truth[:, :2]) / np.sqrt(area)
            off = np.where(off < 0.1, off**2 / 0.2, off - 0.05).sum(1)
            distance.append((off * truth[:, 2]).sum() / truth[:, 2].sum())
            similarity.append((np.exp(-error) * truth[:, 2]).sum() / truth[:, 2].sum())
            p = 1 / (1 + np.exp(-raw[-JOINTS:]))
            confidence.append(-np.where(truth[:, 2] > 0, np.log(p), np.log1p(-p)).mean())
            shared = (np.minimum(box[2:], target[2:]) - np.maximum(box[:2], target[:2])).clip(0).prod()
            overlap.append(shared / ((box[2:] - box[:2]).prod() + area - shared))
            wanted[y, x] = similarity[-1]
        p = 1 / (1 + np.exp(4.6 - maps[4]))
        objectness -= (wanted * np.log(p) + (1 - wanted) * np.log(1 - p)).sum()
    assert len(similarity) == 3
    assert float(terms["one_joints"]) == pytest.approx(2 * np.mean(1 - np.array(similarity)), rel=1e-5)
    assert float(terms["one_distance"]) == pytest.approx(np.mean(distance), rel=1e-5)
    assert float(terms["one_confidence"]) == pytest.approx(0.5 * np.mean(confidence), rel=1e-5, abs=1e-9)
    assert float(terms["one_objectness"]) == pytest.approx(0.5 * objectness / 3, rel=1e-4)
    # What CIoU adds to 1 - IoU is small for boxes that nearly agree.
    assert float(terms["one_box"]) == pytest.approx(np.mean(1 - np.array(overlap)), rel=0.1)


@pytest.mark.parametrize("decode", DECODES)
@pytest.mark.parametrize("term", ["joints", "distance", "confidence"])
def test_loss_gradient(decode: str, term: str) -> None:
    head, codec, _ = build(decode)
    targets = targets_of(codec, people(np.random.default_rng(1), 2))
    outputs = {name: part.double() for name, part in random_outputs(decode, scale=0.3).items()}
    coarse = next(iter(outputs))

    def loss(part: Tensor) -> Tensor:
        return head.loss({**outputs, coarse: part}, targets)[f"{BRANCH[decode]}_{term}"]

    part = outputs[coarse].requires_grad_()
    assert torch.autograd.gradcheck(loss, (part,), fast_mode=True)


def test_perfect_outputs_cost_nothing_one_to_one() -> None:
    head, codec, _ = build("one_to_one")
    group = people(np.random.default_rng(2), 4)
    outputs, targets = ideal(codec, group), targets_of(codec, group)
    assert float(sum(head.loss(outputs, targets).values())) < 1e-4
    worse = {name: part + 0.3 * torch.randn_like(part) for name, part in outputs.items()}
    assert float(sum(head.loss(worse, targets).values())) > 0.05


@pytest.mark.parametrize("decode", DECODES)
def test_without_people_only_objectness_counts(decode: str) -> None:
    head, codec, _ = build(decode)
    outputs = {name: part.requires_grad_() for name, part in random_outputs(decode, batch=2).items()}
    terms = head.loss(outputs, targets_of(codec, NOBODY, NOBODY))
    assert {name for name, term in terms.items() if term.item() > 0} == {f"{BRANCH[decode]}_objectness"}
    sum(terms.values()).backward()
    for part in outputs.values():
        assert part.grad is not None
        assert part.grad[:, 4].abs().min() > 0
        assert not part.grad[:, [*range(4), *range(5, part.shape[1])]].any()


@pytest.mark.parametrize("decode", DECODES)
@pytest.mark.parametrize("count", [1, 5, 30])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
def test_loss_and_gradients_are_finite(decode: str, count: int, scale: float) -> None:
    head, codec, _ = build(decode)
    targets = targets_of(codec, people(np.random.default_rng(count), count), NOBODY)
    targets["boxes"][0, 0, 2:] = targets["boxes"][0, 0, :2]  # a box without extent
    outputs = {
        name: part.requires_grad_() for name, part in random_outputs(decode, batch=2, scale=scale).items()
    }
    loss = sum(head.loss(outputs, targets).values())
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(part.grad).all() for part in outputs.values())


@pytest.mark.parametrize("decode", DECODES)
def test_outputs_that_are_no_numbers_make_the_loss_so_too(decode: str) -> None:
    """The training loop skips such a step; the assignment must not stumble."""
    head, codec, _ = build(decode)
    outputs = {name: part * float("nan") for name, part in random_outputs(decode).items()}
    loss = sum(head.loss(outputs, targets_of(codec, people(np.random.default_rng(0), 3))).values())
    assert torch.isnan(loss)


@pytest.mark.parametrize("decode", DECODES)
def test_masked_regions_and_unlabelled_joints_cost_nothing(decode: str) -> None:
    head, codec, _ = build(decode)
    one = people(np.random.default_rng(4), 1)
    mask = np.ones(RESOLUTION, bool)
    mask[:, 96:] = False
    group = People(one.keypoints * [0.5, 1, 1], one.areas, one.boxes * [0.5, 1, 0.5, 1], mask)
    group.keypoints[0, 5, 2] = 0
    outputs, targets = random_outputs(decode, scale=0.1), targets_of(codec, group)
    before = head.loss(outputs, targets)
    for name, part in outputs.items():
        part[:, 4, :, 96 // int(name.split("_")[1]) :] += 3
        part[:, [10, 10 + JOINTS]] += 1
    after = head.loss(outputs, targets)
    for name, term in before.items():
        torch.testing.assert_close(after[name], term)


@pytest.mark.parametrize("decode", DECODES)
def test_loss_does_not_depend_on_the_order_of_people(decode: str) -> None:
    head, codec, _ = build(decode)
    targets = targets_of(codec, people(np.random.default_rng(5), 6))
    order = torch.randperm(60, generator=torch.Generator().manual_seed(0))
    shuffled = {**targets, **{name: targets[name][:, order] for name in ("boxes", "joints")}}
    outputs = random_outputs(decode, scale=0.3)
    for first, second in zip(
        head.loss(outputs, targets).values(), head.loss(outputs, shuffled).values(), strict=True
    ):
        torch.testing.assert_close(first, second)


@pytest.mark.parametrize("decode", DECODES)
@pytest.mark.parametrize("seed", range(4))
def test_decode_equals_the_codec_reference(decode: str, seed: int) -> None:
    head, codec, arch = build(decode)
    outputs = random_outputs(decode, batch=2, seed=seed)
    for part in outputs.values():
        part[:, 4] += 4
    found = head.decode(outputs, arch)
    for image in range(2):
        expected = codec.decode_maps({name: part[image].numpy() for name, part in outputs.items()})
        for name, value in found.items():
            np.testing.assert_allclose(value[image], expected[name], rtol=1e-4, atol=1e-3, err_msg=name)


@pytest.mark.parametrize("decode", DECODES)
def test_decode_finds_the_encoded_people(decode: str) -> None:
    head, codec, arch = build(decode)
    group = people(np.random.default_rng(6), 2)
    found = head.decode(ideal(codec, group), arch)
    poses = codec.group({name: value[0].numpy() for name, value in found.items()})
    labelled = codec.encode(group)["joints"][:2]
    assert len(poses) == 2
    for joints in labelled:
        seen = joints[:, 2] > 0
        errors = [np.abs(pose[:, :2] - joints[:, :2])[seen].max() for pose in poses.keypoints]
        best = poses.keypoints[int(np.argmin(errors))]
        assert min(errors) < 1e-3
        np.testing.assert_array_equal(best[:, 2] > 0.5, seen)
        assert (best[~seen, 2] == 0).all()


def test_decode_pads_with_zeros() -> None:
    head, _, arch = build("nms", 100)
    outputs = {name: part[..., :1, :1] for name, part in random_outputs("nms").items()}
    found = head.decode(outputs, arch)
    assert found["keypoints"].shape == (1, 100, JOINTS, 3)
    assert not found["keypoints"][:, 3:].any()
    assert not found["scores"][:, 3:].any()


def test_suppression_in_torch_is_that_of_the_codec() -> None:
    rng = np.random.default_rng(7)
    for _ in range(10):
        low = rng.uniform(0, 100, (2, 100, 2))
        boxes = np.concatenate([low, low + rng.uniform(20, 120, (2, 100, 2))], axis=2)
        kept = suppress(torch.from_numpy(boxes)).numpy()
        np.testing.assert_array_equal(kept, [reference(boxes[0]), reference(boxes[1])])
        assert 0 < kept.sum() < kept.size


@pytest.mark.parametrize("decode", DECODES)
def test_flip_merge_of_a_mirrored_output_is_the_output(decode: str) -> None:
    """The mirrored people's ideal outputs, merged with the people's own, decode to the people."""
    head, codec, arch = build(decode)
    group = people(np.random.default_rng(8), 2)
    index = list(SKELETON.flip_index)
    keypoints = group.keypoints[:, index] * [-1, 1, 1] + [127, 0, 0]
    boxes = group.boxes[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [127, 0, 127, 0]
    outputs, mirrored = ideal(codec, group), ideal(codec, People(keypoints, group.areas, boxes))
    merged = head.merge_flip(outputs, mirrored, index)
    for name, part in outputs.items():
        torch.testing.assert_close(merged[name], part, rtol=1e-4, atol=1e-4)
    assert head.decode(merged, arch)["scores"].gt(0).sum() == 2


@pytest.mark.parametrize("decode", DECODES)
def test_distillation_is_zero_for_equals_and_pulls_towards_the_teacher(decode: str) -> None:
    head, codec, _ = build(decode)
    teacher = ideal(codec, people(np.random.default_rng(9), 3))
    assert float(head.distill(teacher, teacher)) == pytest.approx(0, abs=1e-5)
    near, far = ({name: part + step for name, part in teacher.items()} for step in (0.1, 0.3))
    assert 0.01 < float(head.distill(near, teacher)) < float(head.distill(far, teacher))
    unseen = {name: part.clone() for name, part in teacher.items()}
    for part in unseen.values():
        part[:, :4] += torch.where(part[:, 4:5] > 0, 0.0, 5.0)
    assert float(head.distill(unseen, teacher)) < 1e-3


def features(head: DenseHead) -> list[tuple[Tensor, None]]:
    sizes = [(96 // stride, 128 // stride) for stride in (*STRIDES, 4)]
    return [(torch.randn(2, 16, *size, requires_grad=True), None) for size in sizes]


def test_the_second_branch_sends_no_gradient_to_the_body() -> None:
    head, codec, arch = build("one_to_one")
    levels = features(head)
    terms = head.loss(
        head.train()(tuple(levels), arch, Context()),
        targets_of(codec, *[people(np.random.default_rng(0), 2)] * 2),
    )
    assert {name.split("_")[0] for name in terms} == {"many", "one"}
    sum(term for name, term in terms.items() if name.startswith("one")).backward(retain_graph=True)
    assert all(x.grad is None for x, _ in levels)
    assert all(p.grad is not None for p in head.branches["one"].parameters())
    assert all(p.grad is None for p in head.branches["many"].parameters())
    sum(terms.values()).backward()
    assert [x.grad is not None for x, _ in levels] == [True, True, True, False]


def test_scoring_runs_the_decoded_branch_only() -> None:
    head, _, arch = build("one_to_one")
    for module in head.modules():
        if isinstance(module, ElasticBatchNorm2d):
            module.embed(torch.zeros(module.num_features), torch.ones(module.num_features))
    assert set(head.eval()(tuple(features(head)), arch, Context())) == {"one_32", "one_16", "one_8"}


def test_levels_without_its_stride_are_refused() -> None:
    options = {"decode": ("nms",), "people": (30,)}
    with pytest.raises(ValueError, match="stride 8"):
        DenseHead(HeadPlace((Level(8, None, 16),), SKELETON, (RESOLUTION,), options))
