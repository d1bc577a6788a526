"""Where to look for people in a video: a detector now and then, their last poses in between.

As BlazePose (Bazarevsky et al. 2020) and RTMPose (Jiang et al. 2023) do.
"""

import numpy as np

from nas.arrays import Floats
from nas.codecs.affine import image_box
from nas.runtime.frames import ColourFrame, FramePoses
from nas.runtime.motion import MotionWatch
from nas.runtime.poses import box_areas

LEAST_INSIDE = 0.25
"""Share of a person's box that is inside the frame; of whom less is seen, has left."""

WIDEST = 0.5
"""Margins between a box and a pose are at most so much of the pose's longer side: poor poses tell nothing."""


class Follower:
    """Says when to detect, and where people are otherwise.

    The detector is asked in every k-th frame; sooner where nobody is known, where somebody was lost, and
    where something moved that is none of the known people. The last is asked once between two regular
    times, so that whatever moves without being a person costs no more than that.

    Detectors draw their boxes in their own way, and networks have learned theirs: from one detection to the
    next a person's box keeps the margins that the detector left around their pose.

    Args:
        every: k.
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self.reset()

    def reset(self) -> None:
        """Another video begins."""
        self._boxes = self._margins = np.zeros((0, 4))
        self._since = 0
        self._lost = False
        self._watching = True
        self._watch = MotionWatch()

    def boxes(self, frame: ColourFrame) -> Floats | None:
        """Where to look in a frame: [N, 4] px; None where it is time to detect."""
        if self.every == 1:
            return None
        if self._since + 1 >= self.every:
            self._watching = True
            return None
        if self._lost or not len(self._boxes):
            return None
        if self._watching and self._watch.moved(frame):
            self._watching = False
            return None
        return self._boxes

    def note(
        self,
        frame: ColourFrame,
        people: FramePoses,
        around: Floats,
        *,
        asked: Floats | None,
    ) -> None:
        """Take in what was found.

        Args:
            frame: where.
            people: those whose poses were found, with the boxes that they were looked for in.
            around: [N, 4] boxes around their poses.
            asked: what `boxes` said for this frame.
        """
        if self.every == 1:
            return
        sides = (around[:, 2:] - around[:, :2]).max(1, keepdims=True, initial=0)
        if asked is None:
            self._since = 0
            self._watch.start(frame)
            margins = (people.boxes - around) / np.maximum(sides, np.spacing(1))
            margins = margins.clip(-WIDEST, WIDEST)
        else:
            self._since += 1
            margins = self._margins[(people.boxes[:, None] == asked).all(2).argmax(1)]
        boxes = around + margins * sides
        self._watch.cover(boxes, frame.size)
        self._lost = asked is not None and len(boxes) < len(asked)
        inside = _inside(boxes, frame.size) >= LEAST_INSIDE
        self._boxes, self._margins = boxes[inside], margins[inside]


def _inside(boxes: Floats, size: tuple[int, int]) -> Floats:
    """The share of boxes [N, 4] that lies in a frame of that size (h, w); 0 of those without extent."""
    whole = image_box(size)
    seen = np.concatenate([np.maximum(boxes[:, :2], whole[:2]), np.minimum(boxes[:, 2:], whole[2:])], 1)
    areas = np.nan_to_num(box_areas(boxes))
    return np.asarray(np.nan_to_num(box_areas(seen)) / np.maximum(areas, np.spacing(1)), np.float64)
