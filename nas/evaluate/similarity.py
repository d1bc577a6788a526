"""Object keypoint similarity (cocodataset.org/#keypoints-eval)."""

from collections.abc import Sequence

import numpy as np

from nas.arrays import Floats
from nas.codecs.similarity import paired_similarity
from nas.codecs.types import FloatArray


def oks(found: FloatArray, truth: FloatArray, *, areas: FloatArray, sigmas: Sequence[float]) -> Floats:
    """The similarity of every found pose to every annotated one, over the annotated keypoints.

    Args:
        found: [D, K, >= 2] x, y (px).
        truth: [G, K, 3] x, y (px), v.
        areas: [G] px^2.
        sigmas: [K] the skeleton's.

    Returns:
        [D, G] in 0..1; 0 for people without an annotated keypoint.
    """
    return paired_oks(found[:, None], truth[None], areas=areas, sigmas=sigmas)


def paired_oks(found: FloatArray, truth: FloatArray, *, areas: FloatArray, sigmas: Sequence[float]) -> Floats:
    """The same [...] of found poses [..., K, >= 2] to the people [..., K, 3] who stand in the same place."""
    seen = truth[..., 2] > 0
    similarity = paired_similarity(found, truth, areas=areas, sigmas=sigmas) * seen
    return np.asarray(similarity.sum(-1) / np.maximum(seen.sum(-1), 1), np.float64)
