"""Maps of cells: drawing Gaussians, refining peaks, and going between cells and pixels.

Cell c of a map of stride s lies at pixel (c + 0.5) * s - 0.5.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.arrays import Flags, Floats, Ints
from nas.codecs.types import FloatArray

Indices = Ints
Refinement = Callable[[FloatArray, Indices, Indices, Indices], Floats]
"""Called with maps [K, h, w] and peaks' joint, x and y, all [...], it gives their refined cells [..., 2]."""

LEAST_NEIGHBOUR = 0.1
"""Of a peak: less counts as this much when a Gaussian is laid through it; noise about 0 has no logarithm."""

FLATTEST = 1e-3
"""Least curvature of such a Gaussian's logarithm, per cell^2."""

FARTHEST = 0.499
"""Cells from a peak to the Gaussian's top: short of a half, so that the peak is the nearest cell."""


def to_cells(pixels: FloatArray, stride: float) -> Floats:
    """Positions in cells of pixel positions."""
    return (np.asarray(pixels, np.float64) + 0.5) / stride - 0.5


def to_pixels(cells: FloatArray, stride: float) -> Floats:
    """Positions in pixels of cell positions."""
    return (np.asarray(cells, np.float64) + 0.5) * stride - 0.5


def nearest_cells(keypoints: FloatArray, stride: float, grid: tuple[int, int]) -> tuple[Ints, Flags]:
    """The nearest cell of each labelled keypoint.

    Args:
        keypoints: [..., 3] x, y (px), v.
        stride: px per cell.
        grid: cells (h, w).

    Returns:
        [..., 2] x, y of the cell, and [...] True where the keypoint is labelled and lies on the grid.
    """
    cells = np.floor(to_cells(keypoints[..., :2], stride) + 0.5)
    inside = ((cells >= 0) & (cells < grid[::-1])).all(-1) & (keypoints[..., 2] > 0)
    cells[~inside] = 0
    return cells.astype(np.int64), inside


@dataclass(frozen=True)
class PeakKernel:
    """How a heatmap falls off around a keypoint.

    Args:
        value: of the squared distance, in sigmas; 1 at 0.
        reach: sigmas along x and along y beyond which it is cut: where it is exp(-9 / 2) = 0.011.
    """

    value: Callable[[FloatArray], FloatArray]
    reach: float


GAUSSIAN = PeakKernel(lambda squared: np.exp(-squared / 2), reach=3.0)
EXPONENTIAL = PeakKernel(lambda squared: np.exp(-np.sqrt(squared)), reach=4.5)


def draw_heatmaps(
    keypoints: FloatArray,
    *,
    stride: float,
    grid: tuple[int, int],
    sigma: float | Floats,
    kernel: PeakKernel = GAUSSIAN,
) -> NDArray[np.float32]:
    """Heatmaps [K, h, w] of people's keypoints [P, K, 3] (px): 1 at the exact position, maximum over people.

    Args:
        keypoints: [P, K, 3] x, y (px), v; those not labelled or outside of the grid leave no trace.
        stride: px per cell.
        grid: cells (h, w).
        sigma: cells, of all people or of each [P].
        kernel: the shape.
    """
    height, width = grid
    people, count = keypoints.shape[:2]
    cells, inside = nearest_cells(keypoints, stride, grid)
    person, joint = np.nonzero(inside)
    spread = (np.zeros(people) + sigma)[person]
    reach = int(np.ceil(kernel.reach * spread.max(initial=0)))
    window = np.arange(-reach, reach + 1)
    cell = cells[inside]
    beyond = to_cells(keypoints[inside, :2], stride) - cell
    squared = (((window - beyond[:, :, None]) / spread[:, None, None]) ** 2).astype(np.float32)
    squared[squared > kernel.reach**2] = np.inf
    values = kernel.value(squared[:, 1, :, None] + squared[:, 0, None, :])
    maps = np.zeros((count, height, width), np.float32)
    for number, (column, row), window_values in zip(
        joint.tolist(), (cell - reach).tolist(), values, strict=True
    ):
        left, top = max(column, 0), max(row, 0)
        place = maps[number, top : row + 2 * reach + 1, left : column + 2 * reach + 1]
        rows, columns = place.shape
        cut = window_values[top - row : top - row + rows, left - column : left - column + columns]
        np.maximum(place, cut, out=place)
    return maps


def quarter_shift(maps: FloatArray, joint: Ints, x: Ints, y: Ints) -> Floats:
    """Cells [..., 2] of peaks moved a quarter towards the higher neighbour, along x and along y.

    Between equal neighbours a peak does not move, nor along an axis on whose border it lies.

    Args:
        maps: [K, h, w].
        joint, x, y: [...] which map, and the peak's cell.
    """
    _, height, width = maps.shape
    inner_x, inner_y = np.clip(x, 1, width - 2), np.clip(y, 1, height - 2)
    across = np.sign(maps[joint, y, inner_x + 1] - maps[joint, y, inner_x - 1]) * (inner_x == x)
    down = np.sign(maps[joint, inner_y + 1, x] - maps[joint, inner_y - 1, x]) * (inner_y == y)
    shift = np.stack([across, down], axis=-1)
    return np.stack([x, y], axis=-1) + 0.25 * shift


def gaussian_shift(
    maps: FloatArray,
    joint: Ints,
    x: Ints,
    y: Ints,
    *,
    sigma: float,
    lowest: float,
) -> Floats:
    """Cells [..., 2] of peaks moved to the top of the Gaussian through the peak and its two neighbours.

    Along each axis, by less than half a cell; a Gaussian's logarithm is a parabola. On the border, where a
    neighbour is missing, it is the Gaussian of `sigma` through the two cells. Exact for Gaussians whose
    neighbours are a tenth of the peak at least: from 0.66 cells of sigma on.

    Args:
        maps: [K, h, w].
        joint, x, y: [...] which map, and the peak's cell.
        sigma: cells.
        lowest: peaks count as this high at least.
    """
    _, height, width = maps.shape
    values = np.maximum(maps[joint, y, x], lowest)

    def moved(along: Ints, size: int, before: FloatArray, after: FloatArray) -> FloatArray:
        low, high = (np.log(np.maximum(side / values, LEAST_NEIGHBOUR)) for side in (before, after))
        low, high = (
            np.where(along == 0, -high - 1 / sigma**2, low),
            np.where(along == size - 1, -low - 1 / sigma**2, high),
        )
        curvature = np.maximum(-low - high, FLATTEST)
        return np.asarray(along + np.clip((high - low) / (2 * curvature), -FARTHEST, FARTHEST))

    left, right = maps[joint, y, np.maximum(x - 1, 0)], maps[joint, y, np.minimum(x + 1, width - 1)]
    up, down = maps[joint, np.maximum(y - 1, 0), x], maps[joint, np.minimum(y + 1, height - 1), x]
    return np.stack([moved(x, width, left, right), moved(y, height, up, down)], axis=-1)


def peaks(maps: FloatArray, refine: Refinement = quarter_shift) -> tuple[Floats, Floats]:
    """The highest cell of each map [K, h, w], refined: cells [K, 2] x, y, and the maps' values there [K]."""
    count, _, width = maps.shape
    joint = np.arange(count)
    best = maps.reshape(count, -1).argmax(1)
    y, x = np.divmod(best, width)
    return refine(maps, joint, x, y), maps[joint, y, x].astype(np.float64)


def upsample_twice(maps: FloatArray) -> FloatArray:
    """Maps [..., h, w] at twice the size, linear between cell centres, edges repeated."""
    return _double(_double(maps, -1), -2)


def _double(maps: FloatArray, axis: int) -> FloatArray:
    moved = np.moveaxis(maps, axis, -1)
    before = np.concatenate([moved[..., :1], moved[..., :-1]], axis=-1)
    after = np.concatenate([moved[..., 1:], moved[..., -1:]], axis=-1)
    pair = np.stack([0.25 * before + 0.75 * moved, 0.75 * moved + 0.25 * after], axis=-1)
    return np.moveaxis(pair.reshape(*moved.shape[:-1], -1), -1, axis)


def shrink_mask(mask: Flags | None, grid: tuple[int, int]) -> NDArray[np.float32]:
    """A mask [H, W] on a coarser grid (h, w): 1 where more than half of the cell counts; all 1 for None."""
    if mask is None:
        return np.ones(grid, np.float32)
    height, width = grid
    blocks = mask.reshape(height, mask.shape[0] // height, width, mask.shape[1] // width)
    majority: NDArray[np.float32] = (blocks.mean((1, 3)) > 0.5).astype(np.float32)
    return majority
