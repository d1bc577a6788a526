"""People as they are annotated and poses as they are found."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.arrays import Flags

FloatArray = NDArray[np.floating]


@dataclass(frozen=True)
class People:
    """The annotated people of one network input, in its pixels.

    Args:
        keypoints: [P, K, 3] x, y (px), v (0 unlabelled, 1 occluded, 2 visible).
        areas: [P] segment areas (px^2).
        boxes: [P, 4] x0, y0, x1, y1 (px).
        mask: [H, W] bool, True where the loss counts; None where it counts everywhere.
    """

    keypoints: FloatArray
    areas: FloatArray
    boxes: FloatArray
    mask: Flags | None = None

    def __len__(self) -> int:
        return len(self.keypoints)


@dataclass(frozen=True)
class Poses:
    """Found poses.

    Args:
        keypoints: [N, K, 3] x, y (px), score.
        scores: [N] score of each pose.
    """

    keypoints: FloatArray
    scores: FloatArray

    def __len__(self) -> int:
        return len(self.keypoints)
