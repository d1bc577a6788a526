"""Who is who from frame to frame: poses are matched to where people should be by now, and how they look."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from nas.arrays import Flags, Floats, Ints
from nas.runtime.looks import blended, same_look
from nas.runtime.poses import SeenPoses, every_row

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

_NOBODY = -1


@dataclass(frozen=True)
class Tracks:
    """People over frames, one to a row.

    Args:
        ids: [N] from 1, never given twice.
        seen: where they were seen last.
        seconds: [N] when.
        gaps: [N] seconds between that and the time before; 0 of somebody new.
        velocities: [N, 2] px per second.
        looks: [N, limbs, 3] their colours, NaN where unknown.
        spans: [N] seconds over which they were seen.
    """

    ids: Ints
    seen: SeenPoses
    seconds: Floats
    gaps: Floats
    velocities: Floats
    looks: Floats
    spans: Floats

    @classmethod
    def new(cls, first: int, seen: SeenPoses, seconds: float, looks: Floats) -> Self:
        """People who are seen for the first time, with ids from the first on."""
        count = len(seen)
        ids, when = np.arange(first, first + count, dtype=np.int64), np.full(count, seconds)
        return cls(ids, seen, when, np.zeros(count), np.zeros((count, 2)), looks, np.zeros(count))

    def __len__(self) -> int:
        return len(self.ids)

    def at(self, rows: NDArray[np.integer] | Flags) -> Self:
        """Some of them, in the order of these rows."""
        if every_row(rows, len(self)):
            return self
        return type(self)(
            self.ids[rows],
            self.seen.at(rows),
            self.seconds[rows],
            self.gaps[rows],
            self.velocities[rows],
            self.looks[rows],
            self.spans[rows],
        )

    def and_(self, others: Self) -> Self:
        """They, and others behind them."""
        if not len(self) or not len(others):
            return self if len(self) else others
        seen = SeenPoses(
            np.concatenate([self.seen.keypoints, others.seen.keypoints]),
            np.concatenate([self.seen.sure, others.seen.sure]),
            np.concatenate([self.seen.boxes, others.seen.boxes]),
        )
        return type(self)(
            np.concatenate([self.ids, others.ids]),
            seen,
            np.concatenate([self.seconds, others.seconds]),
            np.concatenate([self.gaps, others.gaps]),
            np.concatenate([self.velocities, others.velocities]),
            np.concatenate([self.looks, others.looks]),
            np.concatenate([self.spans, others.spans]),
        )

    def expected(self, seconds: float) -> SeenPoses:
        """Their poses where they should be at that time."""
        keypoints = self.seen.keypoints.copy()
        keypoints[..., :2] += (self.velocities * (seconds - self.seconds)[:, None])[:, None]
        # A box is only asked for its size, which is the same wherever it is.
        return replace(self.seen, keypoints=keypoints)

    def again(self, seen: SeenPoses, seconds: float) -> Self:
        """The same people, who were seen once more."""
        gaps = seconds - self.seconds
        both = self.seen.sure & seen.sure
        moved = (gaps > 0) & both.any(1)
        spans = np.where(moved, self.spans + gaps, self.spans)
        # At least a tick, so that nothing is divided by nought where nobody moved.
        passed = np.maximum(gaps, np.spacing(1.0))
        share = passed / np.minimum(np.maximum(spans, passed), np.maximum(_STEADY, passed))
        steps = _median(seen.keypoints[..., :2] - self.seen.keypoints[..., :2], both) / passed[:, None]
        velocities = self.velocities + share[:, None] * (steps - self.velocities)
        return replace(
            self,
            seen=seen,
            seconds=np.full(len(self), seconds),
            gaps=gaps,
            velocities=np.where(moved[:, None], velocities, self.velocities),
            spans=spans,
        )


class PoseTracker:
    """Gives poses the ids of people.

    Each pose goes to the person whom it is most like (OKS, times how much the colours are the same), the most
    alike first; what is left begins a new track. Who is not seen moves on as before, and is forgotten after a
    while.

    Args:
        sigmas: [K] the skeleton's.
        min_similarity: a pose that is less like a person is not theirs.
        memory: seconds for which somebody who is not seen is remembered.
    """

    def __init__(
        self, sigmas: Sequence[float], *, min_similarity: float = MIN_SIMILARITY, memory: float = MEMORY
    ) -> None:
        self._sigmas = sigmas
        self._min_similarity = min_similarity
        self._memory = memory
        self._last_id = 0
        self.tracks: Tracks | None = None
        """Those who are remembered; None before the first frame."""

    @property
    def remembered(self) -> set[int]:
        """Their ids."""
        return set() if self.tracks is None else set(self.tracks.ids.tolist())

    def update(
        self,
        seen: SeenPoses,
        seconds: float,
        *,
        looks: Floats | None = None,
        similar: Floats | None = None,
    ) -> Tracks:
        """The people of a frame, in the order of its poses.

        Args:
            seen: the poses, no two of them of one person.
            seconds: when; times go up.
            looks: [N, limbs, 3] colours, as of `limb_colours`.
            similar: [N, N] how alike the poses are to each other, where that is known.
        """
        looks = np.zeros((len(seen), 0, 3)) if looks is None else looks
        known = self.tracks
        if known is None:
            known = Tracks.new(1, seen.at(np.zeros(0, np.intp)), seconds, looks[:0])
        known = known.at(seconds - known.seconds <= self._memory)
        owners = self._owners(known, seen, seconds, looks)
        old = owners != _NOBODY
        again = known.at(owners[old]).again(seen.at(old), seconds)
        share = np.minimum(1.0, again.gaps / LASTING)[:, None, None]
        alone = self._alone(seen, similar)[old][:, None, None]
        again = replace(again, looks=np.where(alone, blended(again.looks, looks[old], share), again.looks))
        new = Tracks.new(self._last_id + 1, seen.at(~old), seconds, looks[~old])
        self._last_id += len(new)
        # Those who were known stand before those who are new: back to the order of the poses.
        people = again.and_(new).at(np.where(old, old.cumsum(), len(again) + (~old).cumsum()) - 1)
        hidden = np.ones(len(known), np.bool_)
        hidden[owners[old]] = False
        self.tracks = known.at(hidden).and_(people)
        return people

    def _owners(self, known: Tracks, seen: SeenPoses, seconds: float, looks: Floats) -> NDArray[np.intp]:
        """The row of the known person of each pose; -1 of those of nobody."""
        owners = np.full(len(seen), _NOBODY, np.intp)
        if not len(known) or not len(seen):
            return owners
        similar = seen.similarity(known.expected(seconds), self._sigmas)
        alike = similar * same_look(looks, known.looks)
        alike[similar < self._min_similarity] = -1
        for _ in range(min(alike.shape)):
            row, column = divmod(int(alike.argmax()), alike.shape[1])
            if alike[row, column] < 0:
                break
            owners[row] = column
            alike[row], alike[:, column] = -1, -1
        return owners

    def _alone(self, seen: SeenPoses, similar: Floats | None) -> Flags:
        """Which poses are not much like another one of the frame."""
        others = seen.similarity(seen, self._sigmas) if similar is None else similar
        return np.asarray((others - 2 * np.eye(len(seen)) < CROWDED).all(1), np.bool_)


def _median(steps: Floats, counted: Flags) -> Floats:
    """The median [N, 2] of the steps [N, K, 2] that count [N, K]: an arm that swings moves nobody."""
    ordered = np.sort(np.where(counted[..., None], steps, np.inf), axis=1)
    people, count = np.arange(len(steps)), counted.sum(1)
    low = ordered[people, np.maximum(count - 1, 0) // 2]
    high = ordered[people, np.minimum(count // 2, steps.shape[1] - 1)]
    return np.asarray(np.where(count[:, None] > 0, low + high, 0.0) / 2, np.float64)
