"""Regression and RLE heads: losses against formulas in float64, decode against the codecs' reference."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nas.codecs.base import Codec
from nas.codecs.types import People
from nas.heads import HeadPlace, Level, PoseHead
from nas.heads.regression import SCALE, SMOOTH, quality_focal_loss
from nas.heads.rle import RLEHead, sigmas
from nas.layers import Context
from nas.space.arch import Head as HeadArch
from nas.space.options import freeze_options
from nas.space.parts import part
from nas.space.skeleton import Skeleton
from nas.space.specs import HeadSpec, OptionValue

SKELETON = Skeleton.load("crowdpose14")
JOINTS = len(SKELETON)
RESOLUTION = (96, 64)
SCORED = [("regression", {"score": "bce"}), ("rle", {"score": "quality_focal", "maps": "separate"})]
ALL = [("regression", {}), ("rle", {}), *SCORED]


def build(name: str, options: Mapping[str, OptionValue] = {}) -> tuple[PoseHead, Codec, HeadArch]:
    """A head in float64 over one coarse and one fine map with raw features, away from its initial weights."""
    spec, full = part(HeadSpec, name), part(HeadSpec, name).complete(options)
    levels = (Level(16, None, 8), Level(8, 4, 4))
    torch.manual_seed(0)
    head = spec.load_module()(
        HeadPlace(levels, SKELETON, (RESOLUTION,), {key: (value,) for key, value in full.items()})
    )
    head = head.double()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return head, spec.load_codec()(SKELETON, RESOLUTION, full, stride=4), HeadArch(name, freeze_options(full))


def features(batch: int = 1, *, scale: float = 1.0) -> tuple[tuple[Tensor, Tensor | None], ...]:
    shapes = ((16, 12, 8), (8, 24, 16), (4, 24, 16))
    coarse, fine, raw = (scale * torch.randn(batch, *shape, dtype=torch.float64) for shape in shapes)
    return (coarse, None), (fine, raw)


def person(rng: np.random.Generator) -> People:
    """Somebody whose joints are unlabelled in a third of all cases."""
    xy = rng.uniform([2, 2], [61, 93], (JOINTS, 2))
    keypoints = np.column_stack([xy, rng.integers(0, 3, JOINTS)])[None]
    return People(keypoints, np.array([3000.0]), np.array([[0.0, 0.0, 63.0, 95.0]]))


def targets_of(codec: Codec, count: int = 3) -> dict[str, Tensor]:
    rng = np.random.default_rng(0)
    encoded = [codec.encode(person(rng)) for _ in range(count)]
    return {name: torch.from_numpy(np.stack([e[name] for e in encoded])).double() for name in encoded[0]}


def random_outputs(batch: int, name: str, *, scored: bool, seed: int = 1) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(batch, JOINTS, *shape, generator=generator, dtype=torch.float64)

    outputs = {"xy": 0.3 * draw(2), "size": torch.tensor([64.0, 96.0])}
    if name == "rle":
        outputs["sigma_logits"] = draw(2)
    return outputs | ({"score_logits": draw()} if scored else {})


def test_smooth_l1_by_hand() -> None:
    """A term of each side of the bend, and a joint without label that counts for nothing."""
    head, codec, _ = build("regression")
    targets = targets_of(codec)
    error = torch.zeros(3, JOINTS, 2, dtype=torch.float64)
    error[0, :, 0], error[1, :, 1] = 0.25, -0.01
    loss = head.loss({"xy": targets["xy"] + error}, targets)
    labelled = targets["weights"].sum(1)
    linear, square = 0.25 - SMOOTH / 2, 0.01**2 / (2 * SMOOTH)
    expected = SCALE * (labelled[0] * linear + labelled[1] * square) / labelled.sum()
    assert loss.keys() == {"xy"}
    assert float(loss["xy"]) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("gamma", [1.0, 0.3])
def test_residual_likelihood_is_the_formula(gamma: float) -> None:
    """Along each axis gamma log sigma - log phi(e) - log Laplace(xy; target, sigma) - log sigma's share."""
    head, codec, _ = build("rle", {"gamma": gamma})
    assert isinstance(head, RLEHead)
    targets, outputs = targets_of(codec), random_outputs(3, "rle", scored=False)
    sigma = 0.001 + 0.999 * torch.special.expit(outputs["sigma_logits"])
    laplace = torch.distributions.Laplace(targets["xy"], sigma)
    with torch.no_grad():
        log_phi = head.flow((outputs["xy"] - targets["xy"]) / sigma)
    terms = gamma * sigma.log() - laplace.log_prob(outputs["xy"])
    per_joint = terms.sum(2) - 2 * log_phi
    labelled = targets["weights"] > 0
    expected = per_joint[labelled].mean()
    assert float(head.loss(outputs, targets)["xy"].detach()) == pytest.approx(float(expected), rel=1e-5)


def test_a_sure_and_right_network_has_a_negative_loss() -> None:
    head, codec, _ = build("rle")
    targets = targets_of(codec)
    sure = {"xy": targets["xy"], "sigma_logits": torch.full((3, JOINTS, 2), -5.0, dtype=torch.float64)}
    assert float(head.loss(sure, targets)["xy"].detach()) < -5


def test_bone_term_compares_vectors_along_limbs() -> None:
    head, codec, _ = build("regression", {"bone": 0.5})
    targets = targets_of(codec)
    everywhere = {"xy": targets["xy"] + torch.tensor([0.3, -0.2])}
    assert float(head.loss(everywhere, targets)["bone"]) == pytest.approx(0, abs=1e-9)

    outputs = {"xy": targets["xy"] + 0.1 * torch.randn(3, JOINTS, 2, dtype=torch.float64)}
    total, count = 0.0, 0
    for xy, truth, weights in zip(outputs["xy"], targets["xy"], targets["weights"], strict=True):
        for start, end in SKELETON.limbs:
            a, b = SKELETON.index(start), SKELETON.index(end)
            if weights[a] and weights[b]:
                for d in (xy[a] - xy[b] - truth[a] + truth[b]).abs().tolist():
                    total += d - SMOOTH / 2 if d > SMOOTH else d * d / (2 * SMOOTH)
                count += 1
    expected = 0.5 * SCALE * total / count
    assert float(head.loss(outputs, targets)["bone"]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("name", "options"), SCORED)
def test_score_learns_the_similarity_of_what_was_found(name: str, options: dict[str, OptionValue]) -> None:
    head, codec, _ = build(name, options)
    targets, outputs = targets_of(codec), random_outputs(3, name, scored=True)
    outputs["xy"] = targets["xy"] + 0.3 * outputs["xy"]
    for value in outputs.values():
        value.requires_grad_()
    loss = head.loss(outputs, targets)["score"]
    distance = ((outputs["xy"] - targets["xy"]) * torch.tensor([64.0, 96.0])).square().sum(2)
    reach = 2 * 3000.0 * (2 * torch.tensor(SKELETON.sigmas, dtype=torch.float64)) ** 2
    quality = torch.exp(-distance / reach).detach()
    assert 0.1 < quality.mean() < 0.95
    score = torch.special.expit(outputs["score_logits"]).detach()
    bernoulli = -(quality * score.log() + (1 - quality) * (1 - score).log())
    focal = (quality - score).abs() ** (2 if options["score"] == "quality_focal" else 0)
    expected = (focal * bernoulli)[targets["weights"] > 0].mean()
    assert float(loss.detach()) == pytest.approx(float(expected), rel=1e-5)
    loss.backward()
    assert outputs["score_logits"].grad is not None
    assert outputs["xy"].grad is None, "a score must not pull the coordinates"


@pytest.mark.parametrize(("name", "options"), ALL)
def test_gradients(name: str, options: dict[str, OptionValue]) -> None:
    head, codec, _ = build(name, {**options, "bone": 1.0})
    targets = targets_of(codec, 2)
    outputs = random_outputs(2, name, scored="score" in options)
    # The quality of what was found is a target: held fixed, as one would read it off.
    names = [key for key in outputs if key != "size" and not ("score" in options and key == "xy")]

    def loss(*values: Tensor) -> Tensor:
        given = outputs | dict(zip(names, values, strict=True))
        return torch.stack(list(head.loss(given, targets).values())).sum()

    assert torch.autograd.gradcheck(loss, [outputs[key].requires_grad_() for key in names])


def test_quality_focal_loss_without_focus_is_cross_entropy_even_where_it_is_perfect() -> None:
    logits = torch.tensor([[0.0, 3.0, -40.0]], requires_grad=True)
    quality = torch.tensor([[0.5, 0.2, 0.0]])
    loss = quality_focal_loss(logits, quality, torch.zeros(1, 1))
    torch.testing.assert_close(
        loss, torch.nn.functional.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    )
    loss.sum().backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.sigmoid(logits.detach()) - quality)


@pytest.mark.parametrize(("name", "options"), ALL)
@given(scale=st.sampled_from([0.0, 1.0, 1e4]), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=25)
def test_losses_and_gradients_are_finite(
    name: str, options: dict[str, OptionValue], scale: float, seed: int
) -> None:
    """In fp32, however far out; bf16 outputs are widened; nobody labelled costs nothing."""
    head, codec, _ = build(name, {**options, "bone": 1.0})
    head = head.float()
    targets = {key: value.float() for key, value in targets_of(codec).items()}
    if seed % 5 == 0:
        targets["weights"] = torch.zeros_like(targets["weights"])
        targets["limb_weights"] = torch.zeros_like(targets["limb_weights"])
    dtype = torch.bfloat16 if seed % 2 else torch.float32
    raw = random_outputs(3, name, scored="score" in options, seed=seed)
    outputs = {key: (scale * value).to(dtype).requires_grad_() for key, value in raw.items()}
    other = {key: (value / (1 + scale)).to(dtype) for key, value in raw.items()}
    terms = [
        *head.loss(outputs, targets).values(),
        head.distill(outputs, other),
        head.distill(other, outputs),
    ]
    total = torch.stack(terms).sum()
    assert total.dtype == torch.float32
    assert torch.isfinite(total)
    if seed % 5 == 0:
        assert all(float(term.detach()) == 0 for term in terms[:-2])
    total.backward()
    assert all(torch.isfinite(value.grad).all() for value in outputs.values() if value.grad is not None)


@pytest.mark.parametrize(("name", "options"), ALL)
def test_unlabelled_joints_cost_nothing(name: str, options: dict[str, OptionValue]) -> None:
    head, codec, _ = build(name, {**options, "bone": 1.0})
    targets, outputs = targets_of(codec), random_outputs(3, name, scored="score" in options)
    before = sum(head.loss(outputs, targets).values())
    unlabelled = targets["weights"] == 0
    for key in outputs.keys() - {"size"}:
        outputs[key] = outputs[key].clone()
        outputs[key][unlabelled] += 1
    assert torch.equal(sum(head.loss(outputs, targets).values()), before)


def test_distillation_of_rle_is_the_divergence_of_laplace_distributions() -> None:
    head, _, _ = build("rle", {"score": "bce"})
    student = random_outputs(3, "rle", scored=True, seed=1)
    teacher = random_outputs(3, "rle", scored=True, seed=2)
    laplace = [torch.distributions.Laplace(o["xy"], sigmas(o)) for o in (teacher, student)]
    bernoulli = [torch.distributions.Bernoulli(logits=o["score_logits"]) for o in (teacher, student)]
    divergence = torch.distributions.kl_divergence
    expected = divergence(*laplace).sum(2).mean() + divergence(*bernoulli).mean()
    torch.testing.assert_close(head.distill(student, teacher), expected)


@pytest.mark.parametrize(("name", "options"), ALL)
def test_distillation_is_least_at_the_teacher(name: str, options: dict[str, OptionValue]) -> None:
    head, _, _ = build(name, options)
    teacher = random_outputs(3, name, scored="score" in options)
    assert float(head.distill(teacher, teacher)) == pytest.approx(0, abs=1e-9)
    for key in teacher.keys() - {"size"}:
        assert float(head.distill(teacher | {key: teacher[key] + 0.1}, teacher)) > 1e-4, key


@pytest.mark.parametrize(("name", "options"), ALL)
def test_decode_is_the_codecs_reference(name: str, options: dict[str, OptionValue]) -> None:
    head, codec, arch = build(name, options)
    with torch.no_grad():
        outputs = head(features(), arch, Context(observe=lambda *_: None))
        decoded = head.decode(outputs, arch)
    assert decoded["keypoints"].shape == (1, 1, JOINTS, 3)
    reference = codec.decode_maps({key: value[0].numpy() for key, value in outputs.items() if key != "size"})
    for key, value in reference.items():
        np.testing.assert_allclose(decoded[key][0].numpy(), value, rtol=1e-9, atol=1e-9)
    assert len(codec.group({key: value[0].numpy() for key, value in decoded.items()})) == 1


@pytest.mark.parametrize(("name", "options"), ALL)
def test_flip_merge_of_a_mirrored_output_is_the_output(name: str, options: dict[str, OptionValue]) -> None:
    """Mirrored in pixels, as the decoded joints are: x becomes W - 1 - x, left becomes right."""
    head, _, arch = build(name, options)
    outputs = random_outputs(2, name, scored="score" in options)
    index = list(SKELETON.flip_index)
    mirrored = {key: value if key == "size" else value[:, index] for key, value in outputs.items()}
    mirrored["xy"] = mirrored["xy"] * torch.tensor([-1, 1])
    found, back = (head.decode(o, arch)["keypoints"][:, 0] for o in (outputs, mirrored))
    torch.testing.assert_close(back[..., 0], 63 - found[:, index, 0])
    torch.testing.assert_close(back[..., 1:], found[:, index, 1:])
    merged = head.merge_flip(outputs, mirrored, index)
    assert merged.keys() == outputs.keys()
    for key, value in outputs.items():
        torch.testing.assert_close(merged[key], value)


def test_dropout_works_in_training_only() -> None:
    head, _, arch = build("rle", {"dropout": 0.5})
    maps = features(4)
    first, second = (head.train()(maps, arch, Context())["xy"] for _ in range(2))
    assert not torch.equal(first, second)
    first, second = (head.eval()(maps, arch, Context())["xy"] for _ in range(2))
    assert torch.equal(first, second)


def test_coordinates_keep_their_precision_under_autocast() -> None:
    head, _, arch = build("rle", {"score": "bce"})
    head = head.float().eval()
    maps = tuple(tuple(None if x is None else x.float() for x in level) for level in features())
    exact = head(maps, arch, Context())
    with torch.autocast("cpu", torch.bfloat16):
        found = head(maps, arch, Context())
    for key, value in exact.items():
        assert found[key].dtype == torch.float32
        torch.testing.assert_close(found[key], value)


def test_separate_maps_are_separate() -> None:
    """What changes the maps of sigma changes sigma and score, and no coordinate."""
    head, _, arch = build("rle", {"maps": "separate", "score": "bce"})
    maps, context = features(2), Context(observe=lambda *_: None)
    before = head(maps, arch, context)
    with torch.no_grad():
        head.maps["sigma"].parts[1].conv.weight.mul_(-1)
    after = head(maps, arch, context)
    assert torch.equal(before["xy"], after["xy"])
    for key in ("sigma_logits", "score_logits"):
        assert not torch.allclose(before[key], after[key])


def test_a_score_sees_the_sigmas_without_pulling_them() -> None:
    head, _, arch = build("rle", {"score": "bce"})
    maps = features(2)
    before = head(maps, arch, Context())
    head.sigma.parts[0].bias.data += 1
    after = head(maps, arch, Context())
    assert not torch.allclose(before["score_logits"], after["score_logits"])
    after["score_logits"].sum().backward()
    assert head.sigma.parts[0].bias.grad is None
    assert head.guide.hidden.weight.grad.abs().sum() > 0
