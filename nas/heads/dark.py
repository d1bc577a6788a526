"""DARK refinement (Zhang et al. 2020) inside the graph."""

import torch
from torch import Tensor

from nas.codecs.dark import FARTHEST, LEAST_VALUE, REACH
from nas.codecs.kernels import SIGMA
from nas.codecs.maps import FLATTEST


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
    inner_x, inner_y = x.clamp(1, width - 2), y.clamp(1, height - 2)
    window = torch.arange(-REACH - 1, REACH + 2, device=heatmaps.device)
    rows = (inner_y.unsqueeze(3) + window).clamp(0, height - 1)
    columns = (inner_x.unsqueeze(3) + window).clamp(0, width - 1)
    index = rows.unsqueeze(4) * width + columns.unsqueeze(3)
    around = heatmaps.flatten(2).gather(2, index.flatten(2)).reshape(index.shape)
    down, across = (
        _smoothing(inner, size, heatmaps) for inner, size in ((inner_y, height), (inner_x, width))
    )
    smooth = torch.matmul(torch.matmul(down, around), across.transpose(3, 4))
    logs = torch.log(smooth.clamp(min=LEAST_VALUE)).flatten(3)
    nw, n, ne, w, c, e, sw, s, se = logs.unbind(3)
    free_x, free_y = inner_x == x, inner_y == y
    blocked = torch.full_like(c, -1.0)
    gx, gy = (e - w) / 2 * free_x, (s - n) / 2 * free_y
    gxx, gyy = torch.where(free_x, e - 2 * c + w, blocked), torch.where(free_y, s - 2 * c + n, blocked)
    gxy = (se - sw - ne + nw) / 4 * (free_x & free_y)
    determinant = gxx * gyy - gxy * gxy
    top = (gxx < -FLATTEST) & (gyy < -FLATTEST) & (determinant > FLATTEST**2)
    safe = torch.where(top, determinant, torch.ones_like(determinant))

    def moved(cell: Tensor, step: Tensor) -> Tensor:
        shift = (step / safe).clamp(-FARTHEST, FARTHEST)
        return cell.to(step.dtype) + torch.where(top, shift, torch.zeros_like(shift))

    return moved(x, gxy * gy - gyy * gx), moved(y, gxy * gx - gxx * gy)


def _smoothing(inner: Tensor, size: int, like: Tensor) -> Tensor:
    """Weights [B, K, M, 3, 15] of the windows around inner cells [B, K, M]."""
    window = torch.arange(-REACH - 1, REACH + 2, device=like.device)
    distance = (window - torch.arange(-1, 2, device=like.device).unsqueeze(1)).abs()
    bell = torch.exp(distance.to(like.dtype).square() * (-0.5 / SIGMA**2))
    reach = torch.minimum(inner - 1, size - 2 - inner).unsqueeze(3).unsqueeze(4)
    return bell * ((reach >= distance) & (distance <= REACH)).to(like.dtype)
