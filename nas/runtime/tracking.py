"""Who is who from frame to frame: poses are matched to where people should be by now, and how they look."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.codecs.types import FloatArray
from nas.runtime.looks import blended, same_look
from nas.runtime.poses import MIN_KEYPOINT, pose_similarity, sure_keypoints

MIN_SIMILARITY = 0.3
"""A pose that is less like a person is not theirs."""

MEMORY = 1.0
"""Seconds for which somebody who is not seen is remembered."""

CROWDED = 0.3
"""Of a pose that is so much like another one of the frame it is not sure whose colours were seen."""

LASTING = 0.6
"""Seconds over which people's colours are averaged."""

_STEADY = 0.3
"""Seconds over which a person's velocity is averaged: poses tremble from frame to frame."""


@dataclass
class Track:
    """A person over frames.

    Args:
        id: from 1, never given twice.
        keypoints: [K, 3] where they were seen last.
        seconds: when.
        gap: seconds between that and the time before; 0 of somebody new.
        velocity: [2] px per second.
        look: [limbs, 3] their colours, NaN where unknown.
        known: seconds over which they were seen.
    """

    id: int
    keypoints: NDArray[np.float64]
    seconds: float
    gap: float
    velocity: NDArray[np.float64]
    look: NDArray[np.float64]
    known: float = 0.0

    def at(self, seconds: float) -> NDArray[np.float64]:
        """Keypoints [K, 3] where they should be at that time."""
        moved = self.keypoints.copy()
        moved[:, :2] += self.velocity * (seconds - self.seconds)
        return moved


class PoseTracker:
    """Gives poses the ids of people.

    Each pose goes to the person whom it is most like (OKS, times how much the colours are the same), the most
    alike first; what is left begins a new track. Who is not seen moves on as before, and is forgotten after a
    while.

    Args:
        sigmas: [K] the skeleton's.
        min_similarity: a pose that is less like a person is not theirs.
        memory: seconds for which somebody who is not seen is remembered.
        min_keypoint: keypoints of a lower score tell nothing.
    """

    def __init__(
        self,
        sigmas: Sequence[float],
        *,
        min_similarity: float = MIN_SIMILARITY,
        memory: float = MEMORY,
        min_keypoint: float = MIN_KEYPOINT,
    ) -> None:
        self._sigmas = sigmas
        self._min_similarity = min_similarity
        self._memory = memory
        self._min_keypoint = min_keypoint
        self._last_id = 0
        self.tracks: list[Track] = []
        """Those who are remembered."""

    def update(
        self, keypoints: FloatArray, seconds: float, looks: NDArray[np.float64] | None = None
    ) -> list[Track]:
        """The person of each pose of a frame.

        Args:
            keypoints: [N, K, 3] px.
            seconds: when; times go up.
            looks: [N, limbs, 3] colours, as of `limb_colours`.
        """
        poses = np.asarray(keypoints, np.float64)
        looks = np.zeros((len(poses), 0, 3)) if looks is None else looks
        self.tracks = [track for track in self.tracks if seconds - track.seconds <= self._memory]
        people = []
        owners = self._owners(poses, seconds, looks)
        for pose, look, alone, owner in zip(poses, looks, self._alone(poses), owners, strict=True):
            if owner is None:
                self._last_id += 1
                owner = Track(self._last_id, pose, seconds, 0.0, np.zeros(2), look)
                self.tracks.append(owner)
            else:
                self._move(owner, pose, seconds)
                if alone:
                    owner.look = blended(owner.look, look, min(1.0, owner.gap / LASTING))
            people.append(owner)
        return people

    def _owners(
        self, poses: NDArray[np.float64], seconds: float, looks: NDArray[np.float64]
    ) -> list[Track | None]:
        """The known person of each pose; None of those of nobody."""
        owners: list[Track | None] = [None] * len(poses)
        if not self.tracks:
            return owners
        similar = self._similarity(poses, np.stack([track.at(seconds) for track in self.tracks]))
        alike = similar * same_look(looks, np.stack([track.look for track in self.tracks]))
        alike[similar < self._min_similarity] = -1
        while alike.size and alike.max() >= 0:
            row, column = np.unravel_index(alike.argmax(), alike.shape)
            owners[int(row)] = self.tracks[int(column)]
            alike[row], alike[:, column] = -1, -1
        return owners

    def _alone(self, poses: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which poses are not much like another one of the frame."""
        if len(poses) < 2:
            return np.ones(len(poses), np.bool_)
        similar = self._similarity(poses, poses)
        np.fill_diagonal(similar, 0)
        return np.asarray((similar < CROWDED).all(1), np.bool_)

    def _similarity(self, found: NDArray[np.float64], known: NDArray[np.float64]) -> NDArray[np.float64]:
        return pose_similarity(found, known, sigmas=self._sigmas, min_keypoint=self._min_keypoint)

    def _move(self, track: Track, pose: NDArray[np.float64], seconds: float) -> None:
        """A person was seen again."""
        gap = seconds - track.seconds
        sure = sure_keypoints(np.stack([pose, track.keypoints]), self._min_keypoint).all(0)
        if gap > 0 and sure.any():
            # The median: an arm that swings moves nobody.
            steps = np.sort(pose[sure, :2] - track.keypoints[sure, :2], axis=0)
            step = (steps[(len(steps) - 1) // 2] + steps[len(steps) // 2]) / (2 * gap)
            track.known += gap
            share = gap / min(track.known, max(_STEADY, gap))
            track.velocity = track.velocity + share * (step - track.velocity)
        track.keypoints, track.seconds, track.gap = pose, seconds, gap
