"""What finds people's boxes for networks that see crops."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nas.runtime.frames import ColourFrame


@dataclass(frozen=True)
class FoundBoxes:
    """People that a detector found in a frame.

    Args:
        boxes: [N, 4] x0, y0, x1, y1 (px).
        scores: [N].
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]


class Detector(Protocol):
    """Anything that finds people's boxes."""

    def __call__(self, frames: Sequence[ColourFrame]) -> Sequence[FoundBoxes]:
        """The people of each frame."""
