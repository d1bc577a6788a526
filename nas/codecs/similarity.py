"""How near keypoints lie to others, by the measure of object keypoint similarity."""

from collections.abc import Sequence

import numpy as np

from nas.arrays import Floats
from nas.codecs.types import FloatArray


def keypoint_similarity(
    found: FloatArray, truth: FloatArray, *, areas: FloatArray, sigmas: Sequence[float]
) -> Floats:
    """The similarity of every keypoint of every pose to its like (cocodataset.org/#keypoints-eval).

    Args:
        found: [D, K, >= 2] x, y (px).
        truth: [G, K, >= 2] x, y (px).
        areas: [G] px^2.
        sigmas: [K] the skeleton's.

    Returns:
        [D, G, K] in 0..1.
    """
    return paired_similarity(found[:, None], truth[None], areas=areas, sigmas=sigmas)


def paired_similarity(
    found: FloatArray, truth: FloatArray, *, areas: FloatArray, sigmas: Sequence[float]
) -> Floats:
    """The same [..., K] of poses [..., K, >= 2] to those that stand in the same place, of areas [...]."""
    distance = ((found[..., :2] - truth[..., :2]) ** 2).sum(-1)
    variance = (2 * np.asarray(sigmas)) ** 2
    scale = np.asarray(areas, np.float64)[..., None] + np.spacing(1)
    return np.asarray(np.exp(-distance / variance / scale / 2), np.float64)
