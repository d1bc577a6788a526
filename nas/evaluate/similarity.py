"""Object keypoint similarity (cocodataset.org/#keypoints-eval)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nas.codecs.types import FloatArray


def oks(
    found: FloatArray, truth: FloatArray, *, areas: FloatArray, sigmas: Sequence[float]
) -> NDArray[np.float64]:
    """The similarity of every found pose to every annotated one, over the annotated keypoints.

    Args:
        found: [D, K, >= 2] x, y (px).
        truth: [G, K, 3] x, y (px), v.
        areas: [G] px^2.
        sigmas: [K] the skeleton's.

    Returns:
        [D, G] in 0..1; 0 for people without an annotated keypoint.
    """
    distance = ((found[:, None, :, :2] - truth[None, :, :, :2]) ** 2).sum(-1)
    variance = (2 * np.asarray(sigmas)) ** 2
    scale = np.asarray(areas, np.float64)[:, None] + np.spacing(1)
    seen = truth[..., 2] > 0
    similarity = np.exp(-distance / variance / scale / 2) * seen
    return np.asarray(similarity.sum(-1) / np.maximum(seen.sum(-1), 1), np.float64)
