"""The normalisation that every network of this project expects: ImageNet's, on RGB in 0..1."""

import numpy as np
from numpy.typing import NDArray

from nas.arrays import Pixels

MEAN: NDArray[np.float32] = np.array([0.485, 0.456, 0.406], np.float32)
STD: NDArray[np.float32] = np.array([0.229, 0.224, 0.225], np.float32)


def normalise(
    images: Pixels,
    *,
    mean: NDArray[np.float32] = MEAN,
    std: NDArray[np.float32] = STD,
) -> NDArray[np.float32]:
    """RGB images [..., H, W, 3] of 0..255 as float32 [..., 3, H, W]: (x / 255 - mean) / std per channel."""
    scale, offset = normalisation(mean=mean, std=std)
    channels = np.moveaxis(images, -1, -3)
    # A channel at a time, in place: three numbers at a time numpy takes ten times as long.
    normalised = np.empty(channels.shape, np.float32)
    np.multiply(channels, scale[:, None, None], out=normalised)
    normalised += offset[:, None, None]
    return normalised


def normalisation(
    *, mean: NDArray[np.float32] = MEAN, std: NDArray[np.float32] = STD
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scale and offset [3] by which values of 0..255 are normalised."""
    scale = (1 / (255 * np.asarray(std, np.float64))).astype(np.float32)
    offset = (-np.asarray(mean, np.float64) / np.asarray(std, np.float64)).astype(np.float32)
    return scale, offset
