"""What heatmaps look like around a keypoint: options `kernel` and `radius` of heads that draw them."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from nas.arrays import Floats
from nas.codecs.maps import EXPONENTIAL, GAUSSIAN, PeakKernel, draw_heatmaps
from nas.space.specs import OptionValue

SIGMA = 2.0
"""Cells."""

SIGMA_BY_SIZE = 0.08
"""Sigma as a share of a person's size, the root of the area: 2 cells for whom a crop of 64x48 cells holds."""

SIGMA_RANGE = (1.0, 4.0)
"""Cells: what sigmas by size are kept within; a narrower peak would stand on one cell alone."""

KERNELS: Mapping[str, PeakKernel] = MappingProxyType({"gaussian": GAUSSIAN, "exponential": EXPONENTIAL})


def _fixed(areas: Floats, stride: int) -> Floats:
    return np.full(len(areas), SIGMA)


def _by_size(areas: Floats, stride: int) -> Floats:
    return np.clip(SIGMA_BY_SIZE * np.sqrt(areas) / stride, *SIGMA_RANGE)


RADII: Mapping[str, Callable[[Floats, int], Floats]] = MappingProxyType({"fixed": _fixed, "person": _by_size})
"""By name: every person's sigma [P] (cells) from their areas [P] (px^2) and the stride."""


def keypoint_heatmaps(
    keypoints: Floats,
    areas: NDArray[np.floating],
    options: Mapping[str, OptionValue],
    *,
    stride: int,
    grid: tuple[int, int],
) -> NDArray[np.float32]:
    """Target maps [K, h, w] of people's keypoints [P, K, 3] and areas [P] (px, px^2), 1 at exact positions.

    Options:
        kernel: "gaussian", exp(-d^2 / 2 sigma^2), or "exponential", exp(-d / sigma), of the distance d.
        radius: "fixed", sigma 2 cells, or "person", 0.08 of the root of the person's area, 1 to 4 cells.
    """
    kernel = KERNELS[str(options["kernel"])]
    radius = RADII[str(options["radius"])]
    sigmas = radius(np.asarray(areas, np.float64), stride)
    return draw_heatmaps(keypoints, stride=stride, grid=grid, sigma=sigmas, kernel=kernel)
