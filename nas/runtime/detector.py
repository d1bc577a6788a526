"""What finds people's boxes for networks that see crops."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from nas.arrays import Floats
from nas.runtime.frames import ColourFrame


@dataclass(frozen=True)
class FoundBoxes:
    """People that a detector found in a frame.

    Args:
        boxes: [N, 4] x0, y0, x1, y1 (px).
        scores: [N].
    """

    boxes: Floats
    scores: Floats


class Detector(Protocol):
    """Anything that finds people's boxes."""

    def __call__(self, frames: Sequence[ColourFrame]) -> Sequence[FoundBoxes]:
        """The people of each frame."""
