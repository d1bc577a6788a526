"""Candidates as a network may give them, made up: what grouping is timed on."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

_TAG_SPACING = 10.0


def random_candidates(
    shapes: Mapping[str, tuple[int, ...]],
    resolution: tuple[int, int],
    *,
    people: int,
    rng: "np.random.Generator",
) -> dict[str, NDArray[np.floating]]:
    """Random values for a decode's outputs of these shapes (no batch axis); places lie within (h, w) px.

    Candidates with tags [K, M, 3 + T] belong to `people` separate people: one candidate of every joint each,
    one in five left out by a score of 0 but for the first joint, by which a codec gets to know its people.
    """
    filled: dict[str, NDArray[np.floating]] = {
        name: rng.random(shape, dtype=np.float32) for name, shape in shapes.items()
    }
    height, width = resolution
    for name in filled.keys() & {"candidates", "keypoints"}:
        filled[name][..., :2] *= (width, height)
    if "boxes" in filled:
        filled["boxes"] *= (width, height, width, height)
    if "candidates" in filled:
        candidates = filled["candidates"]
        joints, most = candidates.shape[:2]
        missing = rng.random((joints, most)) < 0.2
        missing[0] = False
        missing[:, people:] = True
        candidates[..., 2] = np.where(missing, 0, 0.2 + 0.8 * candidates[..., 2])
        candidates[..., 3:] = 0.1 * candidates[..., 3:] + _TAG_SPACING * np.arange(most)[None, :, None]
    return filled
