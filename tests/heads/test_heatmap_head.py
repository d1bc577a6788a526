"""Refinement of heatmap peaks inside the graph."""

import numpy as np
import pytest
import torch

from nas.codecs.associative_embedding import AssociativeEmbeddingCodec
from nas.codecs.dark import dark_shift as reference
from nas.codecs.heatmap import HeatmapCodec
from nas.codecs.types import People
from nas.errors import UserError
from nas.heads.associative_embedding import AssociativeEmbeddingHead
from nas.heads.base import HeadPlace, Level, squared_error
from nas.heads.dark import dark_shift
from nas.heads.heatmap import HeatmapHead
from nas.space.arch import Head as HeadArch
from nas.space.options import freeze_options
from nas.space.parts import part
from nas.space.skeleton import Skeleton
from nas.space.specs import HeadSpec

SKELETON = Skeleton.load("mpii16")
RESOLUTION = (96, 64)


def bells(seed: int, height: int = 24, width: int = 16) -> torch.Tensor:
    """Maps [2, 16, h, w] of tilted bells anywhere, borders included, with noise; the first one is zero."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((height, width), float)
    centre = rng.uniform([-0.5, -0.5], [height - 0.5, width - 0.5], (2, 16, 2))[..., None, None]
    dy, dx = y - centre[:, :, 0], x - centre[:, :, 1]
    tilt = rng.uniform(-0.1, 0.1, (2, 16, 1, 1))
    maps = np.exp(-(dx**2 + dy**2) / 8 + tilt * dx * dy) + 0.01 * rng.standard_normal((2, 16, height, width))
    maps[0, 0] = 0
    return torch.from_numpy(maps)


@pytest.mark.parametrize("seed", range(5))
def test_dark_of_any_cells_is_the_reference(seed: int) -> None:
    maps = bells(seed)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 16, (2, 16, 9), generator=generator)
    y = torch.randint(0, 24, (2, 16, 9), generator=generator)
    found = torch.stack(dark_shift(maps, x, y), dim=3).numpy()
    joint = np.arange(16)[:, None].repeat(9, axis=1)
    for image in range(2):
        expected = reference(maps[image].numpy(), joint, x[image].numpy(), y[image].numpy())
        np.testing.assert_allclose(found[image], expected, atol=1e-9)


@pytest.mark.parametrize("refine", ["quarter", "dark"])
def test_decode_is_the_codecs(refine: str) -> None:
    options = part(HeadSpec, "heatmap").complete({"refine": refine})
    choices = {name: (value,) for name, value in options.items()}
    head = HeatmapHead(HeadPlace((Level(16, 8, 4),), SKELETON, (RESOLUTION,), choices))
    codec = HeatmapCodec(SKELETON, RESOLUTION, options)
    maps = bells(9)
    decoded = head.decode({"heatmaps": maps}, HeadArch("heatmap", freeze_options(options)))
    for image in range(2):
        expected = codec.decode_maps({"heatmaps": maps[image].numpy()})
        for name, value in decoded.items():
            np.testing.assert_allclose(value[image].numpy(), expected[name], atol=1e-9)


@pytest.mark.parametrize("share", [0.0, 7.5])
def test_foreground_counts_more(share: float) -> None:
    """Against the formula: the mean over labelled joints of (1 + k t) (y - t)^2, times 100."""
    options = part(HeadSpec, "heatmap").complete({"foreground": share})
    codec = HeatmapCodec(SKELETON, RESOLUTION, options)
    rng = np.random.default_rng(0)
    keypoints = np.column_stack([rng.uniform(8, 56, (16, 2)), np.full(16, 2.0)])
    keypoints[3, 2] = 0
    person = People(keypoints[None], np.array([2000.0]), np.array([[8.0, 8, 56, 56]]))
    encoded = codec.encode(person)
    assert ("foreground" in encoded) == bool(share)
    targets = {name: torch.from_numpy(np.stack([target] * 2)) for name, target in encoded.items()}
    maps = torch.randn(2, 16, 24, 16, dtype=torch.float64, requires_grad=True)
    head = HeatmapHead(
        HeadPlace((Level(16, 8, 4),), SKELETON, (RESOLUTION,), {n: (v,) for n, v in options.items()})
    )

    wanted = encoded["heatmaps"].astype(np.float64)
    error = (1 + share * wanted) * (maps.detach().numpy() - wanted) ** 2
    expected = 100 * error.mean((2, 3))[:, encoded["weights"] > 0].mean()
    assert head.loss({"heatmaps": maps}, targets)["heatmap"].item() == pytest.approx(expected, rel=1e-6)
    doubles = {name: target.double() for name, target in targets.items()}
    assert torch.autograd.gradcheck(lambda y: head.loss({"heatmaps": y}, doubles)["heatmap"], maps)


def test_foreground_at_its_default_is_the_plain_loss_to_the_bit() -> None:
    wanted = torch.rand(2, 16, 24, 16)
    maps = torch.randn(2, 16, 24, 16)
    plain = squared_error(maps, wanted, {})
    assert torch.equal(plain, (maps - wanted).square())
    assert torch.equal(plain, squared_error(maps, wanted, {"foreground": torch.zeros(2)}))


def test_foreground_is_no_negative_number() -> None:
    with pytest.raises(
        UserError, match="'foreground' of head 'heatmap': expected a number of at least 0, got -1"
    ):
        HeatmapCodec(SKELETON, RESOLUTION, {"foreground": -1.0})


def test_foreground_of_both_scales_of_associative_embedding() -> None:
    options = part(HeadSpec, "associative_embedding").complete({"foreground": 5.0})
    codec = AssociativeEmbeddingCodec(SKELETON, RESOLUTION, options, stride=(4, 2))
    keypoints = np.column_stack([np.linspace(8, 56, 16), np.linspace(8, 88, 16), np.full(16, 2.0)])
    encoded = codec.encode(People(keypoints[None], np.array([2000.0]), np.array([[8.0, 8, 56, 88]])))
    targets = {name: torch.from_numpy(target[None]) for name, target in encoded.items()}
    choices = {name: (value,) for name, value in options.items()}
    levels = (Level(16, 8, 4), Level(16, 8, 2))
    head = AssociativeEmbeddingHead(HeadPlace(levels, SKELETON, (RESOLUTION,), choices))
    outputs = {
        "heatmaps_4": torch.randn(1, 16, 24, 16),
        "heatmaps_2": torch.randn(1, 16, 48, 32),
        "tags": torch.randn(1, 16, 24, 16, 1),
    }
    loss = head.loss(outputs, targets)
    for stride in (4, 2):
        wanted = encoded[f"heatmaps_{stride}"]
        error = (1 + 5 * wanted) * (outputs[f"heatmaps_{stride}"][0].numpy() - wanted) ** 2
        expected = (error * encoded[f"mask_{stride}"]).mean()
        assert loss[f"heatmap_{stride}"].item() == pytest.approx(expected, rel=1e-5)
