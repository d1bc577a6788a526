"""Whether something moves where nobody is known: it may be somebody who enters."""

import cv2
import numpy as np
from numpy.typing import NDArray

from nas.arrays import Pixels
from nas.runtime.frames import ColourFrame

CELLS = (36, 64)
"""Rows and columns that a frame is looked at in."""

CHANGE = 32
"""Of 255: by how much a channel differs where something else is to be seen."""

FEWEST = 8
"""Changed cells that may be a person."""

MOST = 0.5
"""Share of the cells without people of which a change is the camera's, or the light's."""

MARGIN = 0.15
"""Of a person's box around it: shadows, and limbs that reach out."""


class MotionWatch:
    """Compares frames with the one in which everybody was looked for, but where people have been since.

    A camera that moves changes most of the picture, which tells nothing of people.
    """

    def __init__(self) -> None:
        self._first: Pixels | None = None
        self._known = np.zeros(CELLS, np.bool_)

    def start(self, frame: ColourFrame) -> None:
        """Everybody in this frame was looked for."""
        self._first, self._known = _small(frame), np.zeros(CELLS, np.bool_)

    def cover(self, boxes: NDArray[np.floating], size: tuple[int, int]) -> None:
        """People are in these boxes [N, 4] (px) of a frame of that size (h, w)."""
        scale = np.array(CELLS[::-1] * 2) / (size[::-1] * 2)
        margin = (boxes[:, 2:] - boxes[:, :2]) * MARGIN
        grown = np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], 1)
        ends = np.nan_to_num(np.floor(grown * scale), posinf=CELLS[1], neginf=0).clip(0, max(CELLS))
        for x0, y0, x1, y1 in ends.astype(int).tolist():
            self._known[y0 : y1 + 1, x0 : x1 + 1] = True

    def moved(self, frame: ColourFrame) -> bool:
        """Whether so much changed elsewhere that somebody may have come."""
        if self._first is None:
            return False
        difference = cv2.absdiff(_small(frame), self._first).max(-1)
        changed = ((difference >= CHANGE) & ~self._known).sum()
        return bool(FEWEST <= changed <= MOST * (~self._known).sum())


def _small(frame: ColourFrame) -> Pixels:
    """A frame in few cells; only some of its pixels are looked at, for the time that it takes."""
    small = cv2.resize(frame.pixels, CELLS[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(small, np.uint8)
