"""What poses tell of people: where they are, how alike two poses are, and which show one person twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from nas.arrays import Flags, Floats
from nas.codecs import Poses
from nas.codecs.similarity import keypoint_similarity
from nas.codecs.types import FloatArray

MIN_POSE = 0.1
"""Poses of a lower score are left out, unless told otherwise."""

MIN_KEYPOINT = 0.2
"""Keypoints of a lower score are not drawn and tell nothing of a person, unless told otherwise."""

SAME_PERSON = 0.8
"""Similarity from which on two poses of a frame are one person's."""

BODY_MARGIN = 1.25
"""How much larger than the extent of their keypoints people are (RTMPose's own way from poses to boxes)."""

THINNEST = 0.2
"""Narrower than this share of their length people's boxes never are: keypoints in a line have an area too."""

_FEWEST = 2
"""Of a pose with fewer sure keypoints all count."""


def sure_keypoints(keypoints: FloatArray, least: float = MIN_KEYPOINT) -> Flags:
    """Which keypoints [N, K, 3] tell where a person is: [N, K]."""
    finite = np.isfinite(keypoints).all(-1)
    sure = finite & (keypoints[..., 2] >= least)
    few = sure.sum(-1, keepdims=True) < _FEWEST
    return np.asarray(np.where(few, finite, sure), np.bool_)


def every_row(rows: NDArray[np.integer] | Flags, count: int) -> bool:
    """Whether rows are all of so many in their order, as those of the people of a video mostly are."""
    return len(rows) == count and bool((rows if rows.dtype == np.bool_ else rows == np.arange(count)).all())


def pose_boxes(keypoints: FloatArray, *, min_keypoint: float = MIN_KEYPOINT) -> Floats:
    """Boxes [N, 4] (x0, y0, x1, y1, px) of the people of poses [N, K, 3].

    The extent of the sure keypoints, grown about its middle; NaN of a pose without numbers.
    """
    return SeenPoses.of(keypoints, min_keypoint=min_keypoint).boxes


def people_boxes(poses: Poses) -> Floats:
    """Boxes [N, 4] (x0, y0, x1, y1, px) of people: as the head says them, else those around their poses."""
    return pose_boxes(poses.keypoints) if poses.boxes is None else np.asarray(poses.boxes, np.float64)


def box_areas(boxes: FloatArray) -> Floats:
    """Areas [N] (px^2) of boxes [N, 4]."""
    sides = np.asarray(boxes[:, 2:] - boxes[:, :2], np.float64)
    return np.asarray(sides.clip(0).prod(1), np.float64)


@dataclass(frozen=True)
class SeenPoses:
    """Poses with what they tell of where people are.

    Args:
        keypoints: [N, K, 3] px.
        sure: [N, K] those that tell where a person is.
        boxes: [N, 4] as of `pose_boxes`.
    """

    keypoints: Floats
    sure: Flags
    boxes: Floats

    @classmethod
    def of(cls, keypoints: FloatArray, *, min_keypoint: float = MIN_KEYPOINT) -> Self:
        """What keypoints [N, K, 3] tell, where those of a lower score tell nothing."""
        poses, sure = np.array(keypoints, np.float64), sure_keypoints(keypoints, min_keypoint)
        xy, tells = poses[..., :2], sure[..., None]
        low, high = np.where(tells, xy, np.inf).min(1), np.where(tells, xy, -np.inf).max(1)
        with np.errstate(invalid="ignore"):
            middle, half = (low + high) / 2, (high - low) / 2 * BODY_MARGIN
        half = np.maximum(half, half.max(1, keepdims=True) * THINNEST)
        boxes = np.concatenate([middle - half, middle + half], 1)
        return cls(poses, sure, np.where(tells.any(1), boxes, np.nan))

    def __len__(self) -> int:
        return len(self.keypoints)

    def at(self, rows: NDArray[np.integer] | Flags) -> Self:
        """Some of them, in the order of these rows."""
        if every_row(rows, len(self)):
            return self
        return type(self)(self.keypoints[rows], self.sure[rows], self.boxes[rows])

    def similarity(self, others: Self, sigmas: Sequence[float]) -> Floats:
        """How alike they are to others (M): [N, M] in 0..1.

        The mean similarity (as in OKS) of the keypoints that both are sure of, at the size of the other one's
        box; 0 where there is no such keypoint.
        """
        shared = self.sure[:, None] & others.sure[None]
        areas = np.fmax(box_areas(others.boxes), 0)  # 0 of a box that is NaN
        with np.errstate(invalid="ignore"):
            each = keypoint_similarity(self.keypoints, others.keypoints, areas=areas, sigmas=sigmas)
        return np.asarray(np.where(shared, each, 0).sum(-1) / np.maximum(shared.sum(-1), 1), np.float64)


def distinct(
    poses: Poses, *, sigmas: Sequence[float], same: float = SAME_PERSON, min_keypoint: float = MIN_KEYPOINT
) -> NDArray[np.intp]:
    """The rows of poses that are no double of a better one, in order (non-maximum suppression by OKS)."""
    seen = SeenPoses.of(poses.keypoints, min_keypoint=min_keypoint)
    return without_doubles(poses.scores, seen.similarity(seen, sigmas), same=same)


def without_doubles(scores: FloatArray, similar: Floats, *, same: float = SAME_PERSON) -> NDArray[np.intp]:
    """The same, where it is known how similar [N, N] they are to each other."""
    kept: list[int] = []
    for row in np.argsort(-scores, kind="stable").tolist():
        if not (similar[row, kept] > same).any():
            kept.append(row)
    return np.array(sorted(kept), np.intp)
