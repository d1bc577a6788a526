"""Where to look for people in a video: a detector now and then, their last poses in between.

As BlazePose (Bazarevsky et al. 2020) and RTMPose (Jiang et al. 2023) do.
"""

import numpy as np
from numpy.typing import NDArray

from nas.codecs.affine import image_box
from nas.runtime.frames import ColourFrame
from nas.runtime.motion import MotionWatch
from nas.runtime.poses import box_areas

LEAST_INSIDE = 0.25
"""Share of a person's box that is inside the frame; of whom less is seen, has left."""


class Follower:
    """Says when to detect, and where people are otherwise.

    The detector is asked in every k-th frame; sooner where nobody is known, where somebody was lost, and
    where something moved that is none of the known people. The last is asked once between two regular
    times, so that whatever moves without being a person costs no more than that.

    Args:
        every: k.
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self.reset()

    def reset(self) -> None:
        """Another video begins."""
        self._boxes: NDArray[np.float64] = np.zeros((0, 4))
        self._since = 0
        self._lost = False
        self._watching = True
        self._watch = MotionWatch()

    def boxes(self, frame: ColourFrame) -> NDArray[np.float64] | None:
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
        self, frame: ColourFrame, boxes: NDArray[np.float64], *, asked: NDArray[np.float64] | None
    ) -> None:
        """Take in what was found.

        Args:
            frame: where.
            boxes: [N, 4] of those whose poses were found.
            asked: what `boxes` said for this frame.
        """
        if self.every == 1:
            return
        if asked is None:
            self._since = 0
            self._watch.start(frame)
        else:
            self._since += 1
        self._watch.cover(boxes, frame.size)
        self._lost = asked is not None and len(boxes) < len(asked)
        self._boxes = boxes[_inside(boxes, frame.size) >= LEAST_INSIDE]


def _inside(boxes: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """The share of boxes [N, 4] that lies in a frame of that size (h, w); 0 of those without extent."""
    whole = image_box(size)
    seen = np.concatenate([np.maximum(boxes[:, :2], whole[:2]), np.minimum(boxes[:, 2:], whole[2:])], 1)
    areas = np.nan_to_num(box_areas(boxes))
    return np.asarray(np.nan_to_num(box_areas(seen)) / np.maximum(areas, np.spacing(1)), np.float64)
