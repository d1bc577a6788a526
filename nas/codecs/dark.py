"""DARK: peaks refined on the logarithm of a smoothed heatmap (Zhang et al., CVPR 2020)."""

import numpy as np

from nas.arrays import Floats, Ints
from nas.codecs.kernels import SIGMA
from nas.codecs.maps import FLATTEST
from nas.codecs.types import FloatArray

REACH = 6
"""Cells that smoothing looks at to each side: 3 sigma."""

LEAST_VALUE = 1e-10
"""Takes the place of smaller values, which have no logarithm."""

FARTHEST = 1.0
"""Cells that a peak moves along an axis at most."""


def dark_shift(maps: FloatArray, joint: Ints, x: Ints, y: Ints) -> Floats:
    """Cells [..., 2] of peaks moved to the top of the Gaussian that fits around them.

    The map is smoothed with a Gaussian of sigma 2 cells; a Gaussian's logarithm is a parabola, whose top
    follows from the derivatives at the peak. Near the border the smoothing reaches as far as the map does to
    both sides: cut off on one side only, it would push peaks inwards. A peak does not move along an axis on
    whose border it lies, nor at all where the logarithm has no top.

    Args:
        maps: [K, h, w].
        joint, x, y: [...] which map, and the peak's cell.
    """
    height, width = maps.shape[1:]
    inner_x, inner_y = np.clip(x, 1, width - 2), np.clip(y, 1, height - 2)
    window = np.arange(-REACH - 1, REACH + 2)
    rows = np.clip(inner_y[..., None] + window, 0, height - 1)
    columns = np.clip(inner_x[..., None] + window, 0, width - 1)
    around = maps[joint[..., None, None], rows[..., :, None], columns[..., None, :]].astype(np.float64)
    smooth = np.einsum(
        "...ai,...ij,...bj->...ab", _smoothing(inner_y, height), around, _smoothing(inner_x, width)
    )
    (nw, n, ne), (w, c, e), (sw, s, se) = np.moveaxis(
        np.log(np.maximum(smooth, LEAST_VALUE)), (-2, -1), (0, 1)
    )
    free_x, free_y = inner_x == x, inner_y == y
    gx, gy = (e - w) / 2 * free_x, (s - n) / 2 * free_y
    gxx, gyy = np.where(free_x, e - 2 * c + w, -1), np.where(free_y, s - 2 * c + n, -1)
    gxy = (se - sw - ne + nw) / 4 * (free_x & free_y)
    determinant = gxx * gyy - gxy**2
    top = (gxx < -FLATTEST) & (gyy < -FLATTEST) & (determinant > FLATTEST**2)
    safe = np.where(top, determinant, 1)
    step = np.stack([(gxy * gy - gyy * gx) / safe, (gxy * gx - gxx * gy) / safe], axis=-1)
    moved = np.where(top[..., None], np.clip(step, -FARTHEST, FARTHEST), 0.0)
    return np.asarray(np.stack([x, y], axis=-1) + moved, np.float64)


def _smoothing(inner: Ints, size: int) -> Floats:
    """Weights [..., 3, 15] of the window around inner cells [...] for the cell before, itself and after."""
    distance = np.arange(-REACH - 1, REACH + 2) - np.array([-1, 0, 1])[:, None]
    reach = np.minimum(REACH, np.minimum(inner - 1, size - 2 - inner))[..., None, None]
    return np.where(np.abs(distance) <= reach, np.exp(-(distance**2) / (2 * SIGMA**2)), 0.0)
