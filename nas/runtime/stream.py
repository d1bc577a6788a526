"""Poses in a video: what a pipeline finds in each frame, with what is known from those before."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nas.codecs import Poses
from nas.errors import UserError
from nas.runtime.following import Follower
from nas.runtime.frames import Channels, ColourFrame, FramePoses
from nas.runtime.looks import limb_colours
from nas.runtime.pipeline import Image, PosePipeline, as_frame
from nas.runtime.poses import MIN_KEYPOINT, MIN_POSE, box_areas, distinct, pose_boxes, sure_keypoints
from nas.runtime.smoothing import OneEuroFilter, OneEuroSettings
from nas.runtime.stages import StageTimes
from nas.runtime.tracking import PoseTracker, Track

USUAL_RATE = 30.0
"""Frames per second, where nobody says when a frame was taken."""


class PoseStream:
    """The people in the frames of a video, one frame after the other.

    Of several poses of one person the best stays, in every frame.

    Args:
        pipeline: finds poses.
        every: a detector is asked in every so many frames; in between people are looked for where they were
            (`Follower`). Only for networks that see crops.
        track: whether people get ids.
        smooth: whether keypoints are smoothed, or how.
        rate: frames per second, where calls do not say when a frame was taken.
        min_pose: poses of a lower score are nobody's.
        min_keypoint: keypoints of a lower score tell nothing of where a person is, and are not smoothed.

    Raises:
        UserError: `every` is below 1, or above it with a network that finds people by itself.
    """

    def __init__(
        self,
        pipeline: PosePipeline,
        *,
        every: int = 1,
        track: bool = False,
        smooth: bool | OneEuroSettings = False,
        rate: float = USUAL_RATE,
        min_pose: float = MIN_POSE,
        min_keypoint: float = MIN_KEYPOINT,
    ) -> None:
        if every < 1:
            raise UserError(f"`every` counts frames from one detection to the next: at least 1, not {every}")
        if every > 1 and pipeline.model.task == "image":
            raise UserError(
                "`every` spares runs of a detector; this network finds people by itself, in every frame"
            )
        self.pipeline = pipeline
        self.every = every
        self.track = track
        self.rate = rate
        self._settings = smooth if isinstance(smooth, OneEuroSettings) else OneEuroSettings()
        self._smooth = bool(smooth)
        self._min_pose = min_pose
        self._min_keypoint = min_keypoint
        self._sigmas = pipeline.model.skeleton.sigmas
        self.reset()

    def reset(self) -> None:
        """Forget everybody: another video begins."""
        self._frames = 0
        self._follower = Follower(self.every)
        self._tracker = PoseTracker(self._sigmas, min_keypoint=self._min_keypoint)
        self._filters: dict[int, OneEuroFilter] = {}

    def __call__(
        self,
        image: Image,
        *,
        seconds: float | None = None,
        colour: Channels = "rgb",
        times: StageTimes | None = None,
    ) -> FramePoses:
        """The people in the next frame.

        Args:
            image: as for a pipeline.
            seconds: when it was taken, later than the one before; left out, frames follow at the rate.
            colour: as for a pipeline.
            times: takes what each stage needs.

        Raises:
            UserError: as a pipeline does.
        """
        times = times or StageTimes()
        frame = as_frame(image, colour)
        moment = self._frames / self.rate if seconds is None else seconds
        self._frames += 1
        with times("track"):
            asked = self._follower.boxes(frame)
        (place,) = self.pipeline.places([frame], times=times) if asked is None else (asked,)
        found = self.pipeline.people(self.pipeline.by_box(frame, place, quick=True, times=times), place)
        with times("track"):
            people = replace(self._distinct(found), detected=asked is None)
            around = pose_boxes(people.poses.keypoints, min_keypoint=self._min_keypoint)
            self._follower.note(frame, people, around, asked=asked)
            if not (self.track or self._smooth):
                return people
            return self._tracked(frame, people, around, moment)

    def _distinct(self, found: FramePoses) -> FramePoses:
        """The people who are sure to be there, each of them once."""
        people = found.at(found.poses.scores >= self._min_pose)
        return people.at(distinct(people.poses, sigmas=self._sigmas, min_keypoint=self._min_keypoint))

    def _tracked(
        self, frame: ColourFrame, people: FramePoses, around: NDArray[np.float64], moment: float
    ) -> FramePoses:
        keypoints, limbs = people.poses.keypoints, self.pipeline.model.skeleton.limb_index
        looks = limb_colours(frame, keypoints, limbs, min_keypoint=self._min_keypoint)
        tracks = self._tracker.update(keypoints, moment, looks)
        if self._smooth:
            poses = Poses(self._smoothed(people.poses.keypoints, around, tracks), people.poses.scores)
            people = replace(people, poses=poses)
        if self.track:
            people = replace(people, ids=np.array([track.id for track in tracks], np.int64))
        return people

    def _smoothed(
        self, keypoints: NDArray[np.floating], around: NDArray[np.float64], tracks: list[Track]
    ) -> NDArray[np.float64]:
        """Keypoints [N, K, 3], those of each person smoothed with theirs of before."""
        remembered = {track.id for track in self._tracker.tracks}
        self._filters = {id_: known for id_, known in self._filters.items() if id_ in remembered}
        smoothed = np.array(keypoints, np.float64)
        sure = sure_keypoints(smoothed, self._min_keypoint)
        sizes = np.sqrt(box_areas(around))
        for row, track in enumerate(tracks):
            steady = self._filters.setdefault(track.id, OneEuroFilter(self._settings))
            smoothed[row, :, :2] = steady(
                smoothed[row, :, :2], sure[row], size=float(sizes[row]), seconds=track.gap
            )
        return smoothed
