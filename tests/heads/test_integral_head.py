"""Integral regression and DSNT in torch: distributions, losses, decode."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.special import softmax
from torch import Tensor

from nas.codecs.base import Codec
from nas.codecs.types import People
from nas.errors import UserError
from nas.heads import HeadPlace, Level, PoseHead
from nas.heads.integral import above_background, expectation, flat_softmax, jensen_shannon
from nas.layers import Context
from nas.space.arch import Head as HeadArch
from nas.space.options import freeze_options
from nas.space.parts import part
from nas.space.skeleton import Skeleton
from nas.space.specs import HeadSpec

SKELETON = Skeleton.load("crowdpose14")
RESOLUTION = (96, 64)
HEADS = ["integral", "dsnt"]


def build(name: str, **options: float | bool) -> tuple[PoseHead, Codec, HeadArch]:
    spec, full = part(HeadSpec, name), part(HeadSpec, name).complete(options)
    choices = {option: (value,) for option, value in full.items()}
    head = spec.load_module()(HeadPlace((Level(16, 8, 4),), SKELETON, (RESOLUTION,), choices))
    return head, spec.load_codec()(SKELETON, RESOLUTION, full), HeadArch(name, freeze_options(full))


def person(seed: int) -> People:
    xy = np.random.default_rng(seed).uniform([2, 2], [61, 93], (14, 2))
    keypoints = np.concatenate([xy, np.full((14, 1), 2.0)], axis=1)[None]
    return People(keypoints, np.array([3000.0]), np.array([[0.0, 0.0, 63.0, 95.0]]))


def targets_of(codec: Codec, *people: People) -> dict[str, Tensor]:
    encoded = [codec.encode(one) for one in people]
    return {name: torch.from_numpy(np.stack([e[name] for e in encoded])) for name in encoded[0]}


def random_maps(
    seed: int = 0, batch: int = 2, scale: float = 3.0, grid: tuple[int, int] = (24, 16)
) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(batch, 14, *grid, dtype=torch.float64, generator=generator)


def total(terms: Mapping[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("beta", [1.0, 15.0])
def test_outputs_are_the_softmax_of_beta_times_the_map(name: str, beta: float) -> None:
    head, _, arch = build(name, beta=beta)
    plain, _, plain_arch = build(name)
    plain.load_state_dict(head.state_dict())
    features = (torch.randn(2, 16, 24, 16), torch.randn(2, 8, 24, 16))
    found, logs = (
        module((features,), setting, Context())["probabilities"].detach().double()
        for module, setting in ((head, arch), (plain, plain_arch))
    )
    # The logarithm of softmax(h) is h but for a constant.
    expected = softmax(beta * logs.log().flatten(2).numpy(), axis=2).reshape(found.shape)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-9)


def test_debiasing_is_the_formula_of_its_paper() -> None:
    """C / (C - 1) (x - 1 / 2C): x in shares of the sides, C the mean of exp(beta h) of rectified maps."""
    logits = random_maps()
    rectified = logits.clamp(min=0).numpy()
    mass = np.exp(rectified)
    c = mass.mean((2, 3))
    share = softmax(rectified.reshape(2, 14, -1), axis=2).reshape(rectified.shape)
    plain = [(share.sum(axis) * ((np.arange(side) + 0.5) / side)).sum(2) for axis, side in ((2, 16), (3, 24))]
    expected = [c / (c - 1) * (x - 1 / (2 * c)) * side - 0.5 for x, side in zip(plain, (16, 24), strict=True)]
    found = expectation(above_background(logits)).numpy()
    np.testing.assert_allclose(found, np.stack(expected, axis=2), atol=1e-9)


def test_debiasing_removes_the_pull_to_the_centre() -> None:
    logits = torch.zeros(1, 1, 24, 16)
    logits[0, 0, 3, 2] = 4.0
    logits[0, 0, 3, 3] = 4.0
    torch.testing.assert_close(expectation(above_background(logits)), torch.tensor([[[2.5, 3.0]]]))
    assert float(expectation(flat_softmax(logits))[0, 0, 1]) > 8


@pytest.mark.parametrize("value", [0.0, -1.0, 1e-7, 1e-3, 1e4, -1e4])
def test_a_flat_map_is_its_centre(value: float) -> None:
    logits = torch.full((1, 1, 24, 16), value, requires_grad=True)
    for normalise in (above_background, flat_softmax):
        found = expectation(normalise(logits))
        torch.testing.assert_close(found, torch.tensor([[[7.5, 11.5]]]), rtol=0, atol=1e-2)
        (gradient,) = torch.autograd.grad(found.sum(), logits)
        assert gradient.isfinite().all()


def test_jensen_shannon_is_scipys() -> None:
    one, other = flat_softmax(random_maps(0)), flat_softmax(random_maps(1))
    expected = jensenshannon(one.flatten(2).numpy(), other.flatten(2).numpy(), axis=2) ** 2
    np.testing.assert_allclose(jensen_shannon(one, other).numpy(), expected, rtol=1e-9)
    assert jensen_shannon(one, one).abs().max() < 1e-12
    apart = torch.zeros(2, 1, 4, 4, dtype=torch.float64)
    apart[0, 0, 0, 0] = apart[1, 0, 3, 3] = 1
    torch.testing.assert_close(jensen_shannon(apart[:1], apart[1:]), torch.full((1, 1), np.log(2)).double())


def expected_loss(maps: np.ndarray, targets: Mapping[str, np.ndarray], *, shape: bool) -> float:
    """Joint by joint in float64: 10 L1 / longer side, and 10 times the divergence from the Gaussians."""
    losses = []
    for image, joint in np.argwhere(targets["weights"] > 0):
        p = maps[image, joint]
        y, x = np.indices(p.shape)
        place = np.array([(p * x).sum(), (p * y).sum()])
        loss = 10 * np.abs(place - targets["coordinates"][image, joint]).sum() / 24
        if shape:
            q = np.outer(targets["y"][image, joint], targets["x"][image, joint])
            m = (p + q) / 2
            loss += 10 * (np.sum(p * np.log(p / m)) + np.sum(q * np.log(np.where(q > 0, q, 1) / m))) / 2
        losses.append(loss)
    return float(np.mean(losses))


@pytest.mark.parametrize("name", HEADS)
def test_loss_is_the_formula(name: str) -> None:
    head, codec, _ = build(name)
    people = [person(0), person(1)]
    people[0].keypoints[0, 3, 2] = people[1].keypoints[0, 5:, 2] = 0
    targets = {key: value.double() for key, value in targets_of(codec, *people).items()}
    maps = flat_softmax(random_maps())
    found = total(head.loss({"probabilities": maps}, targets))
    arrays = {key: value.numpy() for key, value in targets.items()}
    assert float(found) == pytest.approx(expected_loss(maps.numpy(), arrays, shape=name == "dsnt"), rel=1e-6)


@pytest.mark.parametrize("name", HEADS)
def test_loss_gradient(name: str) -> None:
    head, codec, arch = build(name, **({"debias": True} if name == "integral" else {}))
    targets = {key: value.double() for key, value in targets_of(codec, person(0)).items()}
    targets = {key: value[:, :2] for key, value in targets.items()}
    logits = random_maps(batch=1)[:, :2].requires_grad_()

    def loss(maps: Tensor) -> Tensor:
        return total(head.loss({"probabilities": head.normalise(maps, arch)}, targets))  # type: ignore[operator]

    assert torch.autograd.gradcheck(loss, (logits,), eps=1e-7)


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4, 1e30])
def test_losses_and_gradients_are_finite(name: str, scale: float) -> None:
    for options in [{}, {"debias": True, "beta": 15.0}] if name == "integral" else [{}]:
        head, codec, arch = build(name, **options)
        targets = targets_of(codec, person(0), person(1))
        maps = random_maps(scale=scale).float().requires_grad_()
        outputs = {"probabilities": head.normalise(maps, arch)}  # type: ignore[operator]
        other = {"probabilities": head.normalise(random_maps(7).float(), arch)}  # type: ignore[operator]
        loss = total(head.loss(outputs, targets)) + head.distill(outputs, other)
        loss.backward()
        assert loss.isfinite()
        assert maps.grad is not None
        assert maps.grad.isfinite().all()


@pytest.mark.parametrize("name", HEADS)
def test_only_labelled_joints_cost(name: str) -> None:
    head, codec, _ = build(name)
    someone = person(0)
    someone.keypoints[0, 3, 2] = 0
    someone.keypoints[0, 4, :2] = [-30, 10]
    targets = targets_of(codec, someone)
    maps = flat_softmax(random_maps(batch=1).float())
    other = maps.clone()
    other[:, 3:5] = flat_softmax(random_maps(5, batch=1).float())[:, 3:5]
    losses = [total(head.loss({"probabilities": p}, targets)) for p in (maps, other)]
    assert torch.equal(*losses)
    nobody = {**targets, "weights": torch.zeros(1, 14)}
    assert float(total(head.loss({"probabilities": maps}, nobody))) == 0


@pytest.mark.parametrize("name", HEADS)
def test_the_targets_cost_least_and_start_is_a_few_units(name: str) -> None:
    head, codec, arch = build("dsnt")
    targets = targets_of(codec, person(0))
    perfect = {"probabilities": targets["y"].unsqueeze(3) * targets["x"].unsqueeze(2)}
    head, _, arch = build(name)
    with torch.no_grad():
        start = head(((torch.rand(1, 16, 24, 16), torch.rand(1, 8, 24, 16)),), arch, Context())
    assert float(total(head.loss(perfect, targets))) < 0.05
    assert 0.5 < float(total(head.loss(start, targets))) < 15
    assert float(head.distill(perfect, perfect)) < 1e-6
    assert float(head.distill(start, perfect)) > 0.5


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("deconvolutions", [0, 1, 2])
def test_decode_is_the_codecs(name: str, deconvolutions: int) -> None:
    head, codec, arch = build(name, deconvolutions=deconvolutions)
    maps = flat_softmax(random_maps(grid=(24 * 2**deconvolutions, 16 * 2**deconvolutions)))
    decoded = head.decode({"probabilities": maps}, arch)
    for image in range(2):
        reference = codec.decode_maps({"probabilities": maps[image].numpy()})
        for key, value in decoded.items():
            np.testing.assert_allclose(value[image].numpy(), reference[key], rtol=1e-9, atol=1e-8)
    assert bool(((decoded["keypoints"][..., 2] >= 0) & (decoded["keypoints"][..., 2] <= 1)).all())


@pytest.mark.parametrize("name", HEADS)
def test_flip_merge_of_a_mirrored_output_is_the_output(name: str) -> None:
    head, _, _ = build(name)
    maps, index = flat_softmax(random_maps()), list(SKELETON.flip_index)
    merged = head.merge_flip(
        {"probabilities": maps}, {"probabilities": maps[:, index].flip(3)}, SKELETON.flip_index
    )
    torch.testing.assert_close(merged["probabilities"], maps)


def test_deconvolutions_double_the_map() -> None:
    features = ((torch.randn(1, 16, 24, 16), torch.randn(1, 8, 24, 16)),)
    for deconvolutions in (0, 1, 2):
        head, _, arch = build("integral", deconvolutions=deconvolutions)
        factor = 2**deconvolutions
        assert head(features, arch, Context())["probabilities"].shape == (1, 14, 24 * factor, 16 * factor)


@pytest.mark.parametrize("options", [{"deconvolutions": 3}, {"beta": -1.0}])
def test_impossible_options_are_a_users_error(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"'{next(iter(options))}'"):
        build("integral", **options)
