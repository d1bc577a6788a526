"""Poses in a video: what a pipeline finds in each frame, with what is known from those before."""

from dataclasses import replace

import numpy as np

from nas.arrays import Floats
from nas.errors import UserError
from nas.runtime.following import Follower
from nas.runtime.frames import Channels, ColourFrame, FramePoses
from nas.runtime.looks import limb_colours
from nas.runtime.pipeline import Image, PosePipeline, as_frame
from nas.runtime.poses import MIN_KEYPOINT, MIN_POSE, SeenPoses, box_areas, without_doubles
from nas.runtime.smoothing import OneEuroFilter, OneEuroSettings
from nas.runtime.stages import StageTimes
from nas.runtime.tracking import PoseTracker, Tracks

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
        self._tracker = PoseTracker(self._sigmas)
        self._filter = OneEuroFilter(self._settings)

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
            return self._followed(frame, found, asked, moment)

    def _followed(
        self, frame: ColourFrame, found: FramePoses, asked: Floats | None, moment: float
    ) -> FramePoses:
        """The people who are sure to be there, each of them once, with what is known from before."""
        found = found.at(found.poses.scores >= self._min_pose)
        seen = SeenPoses.of(found.poses.keypoints, min_keypoint=self._min_keypoint)
        similar = seen.similarity(seen, self._sigmas)
        rows = without_doubles(found.poses.scores, similar)
        people, seen = replace(found.at(rows), detected=asked is None), seen.at(rows)
        self._follower.note(frame, people, seen.boxes, asked=asked)
        if not (self.track or self._smooth):
            return people
        looks = limb_colours(frame, seen, self.pipeline.model.skeleton.limb_index)
        tracks = self._tracker.update(seen, moment, looks=looks, similar=similar[np.ix_(rows, rows)])
        if self._smooth:
            people = replace(people, poses=replace(people.poses, keypoints=self._smoothed(tracks)))
        if self.track:
            people = replace(people, ids=tracks.ids)
        return people

    def _smoothed(self, tracks: Tracks) -> Floats:
        """Keypoints [N, K, 3], those of each person smoothed with theirs of before."""
        self._filter.keep(self._tracker.remembered)
        seen = tracks.seen
        smoothed = seen.keypoints.copy()
        smoothed[..., :2] = self._filter(
            seen.keypoints[..., :2],
            seen.sure,
            ids=tracks.ids.tolist(),
            sizes=np.sqrt(box_areas(seen.boxes)),
            seconds=tracks.gaps,
        )
        return smoothed
