"""People as they are annotated and poses as they are found."""

from collections.abc import Sequence
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
        boxes: [N, 4] x0, y0, x1, y1 (px) of the people, where the head says them; None where it does not.
    """

    keypoints: FloatArray
    scores: FloatArray
    boxes: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.keypoints)

    @classmethod
    def joined(cls, parts: Sequence["Poses"], *, keypoints: int) -> "Poses":
        """Those of all parts, each of so many keypoints; without boxes where one part has none."""
        boxes = [part.boxes for part in parts if part.boxes is not None]
        return cls(
            np.concatenate([np.zeros((0, keypoints, 3)), *(part.keypoints for part in parts)]),
            np.concatenate([np.zeros(0), *(part.scores for part in parts)]),
            np.concatenate(boxes) if boxes and len(boxes) == len(parts) else None,
        )

    def at(self, rows: NDArray[np.integer] | Flags) -> "Poses":
        """Some of them, in the order of these rows."""
        boxes = None if self.boxes is None else self.boxes[rows]
        return Poses(self.keypoints[rows], self.scores[rows], boxes)
