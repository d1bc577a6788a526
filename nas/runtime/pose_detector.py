"""A network for whole images as the detector of one for crops."""

from collections.abc import Sequence

import numpy as np

from nas.codecs import Poses
from nas.errors import UserError
from nas.runtime.detector import FoundBoxes
from nas.runtime.frames import ColourFrame
from nas.runtime.model import PoseModel
from nas.runtime.pipeline import PosePipeline
from nas.runtime.poses import MIN_POSE, distinct, people_boxes

MIN_BOX = 0.25
"""Poses of a lower score give no box where the head says boxes, whose scores are probabilities."""


class PoseDetector:
    """The boxes of the people whose poses a network finds in whole images.

    They are the head's own where it says them, else they are drawn around the poses.

    Args:
        model: the network.
        min_pose: poses of a lower score are left out; by default `MIN_BOX` for heads that say boxes,
            `MIN_POSE` for others.

    Raises:
        UserError: the network sees crops.
    """

    def __init__(self, model: PoseModel, *, min_pose: float | None = None) -> None:
        if model.task != "image":
            raise UserError(
                "a detector finds people in whole images; this network sees crops of one person each"
            )
        self._pipeline = PosePipeline(model)
        self._min_pose = min_pose

    def __call__(self, frames: Sequence[ColourFrame]) -> list[FoundBoxes]:
        """The people of each frame, all frames at once where the model allows."""
        return [self._boxes(poses) for poses in self._pipeline.batch(frames, quick=True)]

    def _boxes(self, poses: Poses) -> FoundBoxes:
        least = self._min_pose
        if least is None:
            least = MIN_POSE if poses.boxes is None else MIN_BOX
        poses = poses.at(poses.scores >= least)
        poses = poses.at(distinct(poses, sigmas=self._pipeline.model.skeleton.sigmas))
        boxes = people_boxes(poses)
        # One keypoint alone tells a place, but no size.
        sized = np.isfinite(boxes).all(1) & (boxes[:, 2:] > boxes[:, :2]).all(1)
        return FoundBoxes(boxes[sized], np.asarray(poses.scores[sized], np.float64))
