"""From heads' raw scores to confidences, which mean the same for all heads.

What a head measures of a keypoint, its raw score, may be a peak's height, a bin's probability or a spread.
Two anchors say what it is worth: confidence = (raw - none) / (full - none), kept between 0.001 and 1.
"""

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from nas.errors import UserError

SCORE_SCALE = 1
"""Version of this scale. Exported files carry it; those that do not hold raw scores."""

LEAST = 1e-3
"""Confidence of what was found, at least: 0 says that nothing was."""

FOOT = 1e-4
"""Above the least lie the confidences of poses that are worse than nothing, in their order."""

WORST = 4.0
"""How far below `none`, in units of the scale, they are told apart."""


@dataclass(frozen=True)
class Anchors:
    """Two raw scores of a keypoint.

    Args:
        full: of the codec's own target, the joint on the centre of a cell or bin.
        none: of an output without information: equal logits, maps of zeros.

    Raises UserError where the first is not above the second.
    """

    full: float
    none: float

    def __post_init__(self) -> None:
        if not self.none < self.full < float("inf"):
            raise UserError(
                f"a head's score must be higher for its own target ({self.full:g}) than without any "
                f"information ({self.none:g})"
            )


PLAIN = Anchors(full=1.0, none=0.0)
"""Of raw scores that are confidences as they are."""


class Numbers(Protocol):
    """What arrays of numpy and tensors of torch have in common."""

    def __sub__(self, other: float, /) -> Any: ...

    def __mul__(self, other: float, /) -> Any: ...

    def __gt__(self, other: float, /) -> Any: ...


Values = TypeVar("Values", bound=Numbers)


def confidence(raw: Values, anchors: Anchors) -> Values:
    """Confidences of the raw scores of keypoints, arrays or tensors: linear, between 0.001 and 1."""
    scaled: Values = _linear(raw, anchors).clip(LEAST, 1.0)
    return scaled


def pose_confidence(raw: Values, anchors: Anchors) -> Values:
    """Confidences of poses of the means of their keypoints' raw scores, arrays or tensors.

    As those of keypoints, but where nothing is known poses keep their order, in the fourth decimal.
    """
    scaled = _linear(raw, anchors)
    ranked: Values = scaled.clip(LEAST + FOOT, 1.0) + scaled.clip(-WORST, 0.0) * (FOOT / WORST)
    return ranked


def found_confidence(raw: Values, anchors: Anchors, *, library: Any = np) -> Values:
    """Confidences of keypoints that may not have been found: these have a raw score of 0, and keep it.

    `library`: numpy, or torch for tensors.
    """
    kept: Values = library.where(raw > 0, confidence(raw, anchors), library.zeros_like(raw))
    return kept


def _linear(raw: Any, anchors: Anchors) -> Any:
    above = raw - anchors.none if anchors.none else raw
    reach = anchors.full - anchors.none
    return above if reach == 1 else above * (1 / reach)
