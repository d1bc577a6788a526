"""DARK refinement (Zhang et al. 2020) inside the graph."""

import torch
from torch import Tensor

from nas.codecs.dark import FARTHEST, LEAST_VALUE, REACH
from nas.codecs.kernels import SIGMA
from nas.codecs.maps import FLATTEST

STENCIL = (
    (0, -0.5, 0, 0, 0, 0, 0, 0.5, 0),
    (0, 0, 0, -0.5, 0, 0.5, 0, 0, 0),
    (0, 1, 0, 0, -2, 0, 0, 1, 0),
    (0, 0, 0, 1, -2, 1, 0, 0, 0),
    (0.25, 0, -0.25, 0, 0, 0, -0.25, 0, 0.25),
)
"""From 3x3 cells, row by row: first derivatives along y and x, second ones along y and x, the mixed one."""


def dark_shift(heatmaps: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Cells moved to the top of the Gaussian that fits around them: `nas.codecs.dark.dark_shift`.

    Only the windows around the peaks are smoothed, not the maps.

    Args:
        heatmaps: [B, K, h, w].
        x, y: [B, K, M] integer cells.

    Returns:
        x and y [B, K, M] as floats.
    """
    height, width = heatmaps.shape[2], heatmaps.shape[3]
    cells = torch.stack([y, x], dim=3)
    inner = torch.stack([y.clamp(1, height - 2), x.clamp(1, width - 2)], dim=3)
    derivatives = _derivatives(heatmaps, inner)

    free = (inner == cells).to(heatmaps.dtype)
    first = derivatives[..., :2] * free
    # Where an axis is not free, any curvature will do: its slope is 0.
    second = derivatives[..., 2:4] * free + (free - 1)
    mixed = derivatives[..., 4:] * free.amin(dim=3, keepdim=True)
    determinant = second[..., :1] * second[..., 1:] - mixed.square()
    top = (second.amax(dim=3, keepdim=True) < -FLATTEST) & (determinant > FLATTEST**2)
    step = (mixed * first.flip(3) - second.flip(3) * first) / torch.where(top, determinant, 1.0)
    moved = cells.to(step.dtype) + torch.where(top, step.clamp(-FARTHEST, FARTHEST), 0.0)
    return moved[..., 1], moved[..., 0]


def _derivatives(heatmaps: Tensor, cells: Tensor) -> Tensor:
    """[B, K, M, 5] of the logarithm of the smoothed maps at inner cells [B, K, M, 2], y and x."""
    size = torch.tensor(heatmaps.shape[2:], device=heatmaps.device)
    window = torch.arange(-REACH - 1, REACH + 2, device=heatmaps.device)
    nearby = cells.unsqueeze(4) + window
    nearby = torch.minimum(nearby.clamp(min=0), (size - 1).unsqueeze(1))
    index = nearby[..., 0, :].unsqueeze(4) * heatmaps.shape[3] + nearby[..., 1, :].unsqueeze(3)
    around = heatmaps.flatten(2).gather(2, index.flatten(2)).reshape(index.shape)

    # Near the border smoothing reaches as far as the map does to both sides.
    distance = (window - torch.arange(-1, 2, device=heatmaps.device).unsqueeze(1)).abs()
    bell = torch.exp(distance.to(heatmaps.dtype).square() * (-0.5 / SIGMA**2)) * (distance <= REACH)
    reach = torch.minimum(cells - 1, size - 2 - cells).unsqueeze(4).unsqueeze(5)
    weights = bell * (reach >= distance).to(heatmaps.dtype)

    smooth = torch.matmul(torch.matmul(weights[..., 0, :, :], around), weights[..., 1, :, :].transpose(3, 4))
    stencil = torch.tensor(STENCIL, device=heatmaps.device, dtype=heatmaps.dtype)
    return torch.matmul(smooth.clamp(min=LEAST_VALUE).log().flatten(3), stencil.t())
