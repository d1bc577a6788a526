"""Refinement of heatmap peaks inside the graph."""

import numpy as np
import pytest
import torch

from nas.codecs.dark import dark_shift as reference
from nas.codecs.heatmap import HeatmapCodec
from nas.errors import UserError
from nas.heads.base import Level
from nas.heads.dark import dark_shift
from nas.heads.heatmap import HeatmapHead
from nas.space.arch import Head as HeadArch
from nas.space.arch import freeze_options
from nas.space.heads import complete_options
from nas.space.skeleton import Skeleton

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
    options = complete_options("heatmap", {"refine": refine})
    choices = {name: (value,) for name, value in options.items()}
    head = HeatmapHead((Level(16, 8, 4),), SKELETON, (RESOLUTION,), choices)
    codec = HeatmapCodec(SKELETON, RESOLUTION, options)
    maps = bells(9)
    decoded = head.decode({"heatmaps": maps}, HeadArch("heatmap", freeze_options(options)))
    for image in range(2):
        expected = codec.decode_maps({"heatmaps": maps[image].numpy()})
        for name, value in decoded.items():
            np.testing.assert_allclose(value[image].numpy(), expected[name], atol=1e-9)
    with pytest.raises(UserError, match="choose one of quarter, dark"):
        head.decode({"heatmaps": maps}, HeadArch("heatmap", (("refine", "thirds"),)))
