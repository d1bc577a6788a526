"""How large people appear: a histogram of their areas that the zoom of samples follows."""

from dataclasses import dataclass
from itertools import pairwise
from math import exp, log, sqrt
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from nas.arrays import Floats
from nas.space.fields import AsTuple, StrictModel

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class TargetArea:
    """The area that one person should have.

    Args:
        share: of the input's area.
        bounds: least and strongest enlargement that may be used for it.
        person: 0..1, picks the person among those of an image.
    """

    share: float
    bounds: tuple[float, float]
    person: float

    def zoom(self, share: float) -> float:
        """What enlarges a person to this area, from the share of the input that it has without."""
        least, most = self.bounds
        return min(max(sqrt(self.share / max(share, 1e-12)), least), most)


class AreaHistogram(StrictModel):
    """The areas that people should have, as fractions of the input's.

    Args:
        edges: of the histogram's bins, from small to large.
        shares: of people in each bin, relative to each other.
        zoom: least and strongest enlargement over the whole image, or crop, that may be used for it.
    """

    edges: Annotated[tuple[Positive, ...], AsTuple, Field(min_length=2)]
    shares: Annotated[tuple[Share, ...], AsTuple]
    zoom: Annotated[tuple[Positive, Positive], AsTuple] = (0.5, 4.0)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if any(low >= high for low, high in pairwise(self.edges)):
            raise ValueError(f"edges: expected increasing numbers, got {list(self.edges)}")
        if len(self.shares) != len(self.edges) - 1:
            raise ValueError(
                f"shares: {len(self.edges)} edges make {len(self.edges) - 1} bins, "
                f"got {len(self.shares)} shares"
            )
        if not sum(self.shares):
            raise ValueError("shares: at least one must be positive")
        if self.zoom[0] > self.zoom[1]:
            raise ValueError(f"zoom: expected the lower one first, got {list(self.zoom)}")
        return self

    def target(self, which: float, where: float, person: float) -> TargetArea:
        """What three uniform numbers draw: the bin, the place on its logarithmic scale, and the person."""
        return TargetArea(self._area(which, where), self.zoom, person)

    def _area(self, which: float, where: float) -> float:
        mark = which * sum(self.shares)
        for (low, high), share in zip(pairwise(self.edges), self.shares, strict=True):
            if mark < share:
                return exp(log(low) + where * (log(high) - log(low)))
            mark -= share
        return self.edges[-1]


def moved_onto(box: Floats, person: Floats, shown: Floats) -> Floats:
    """A box [4] moved so that a person's box [4] comes near the middle of what is shown about its own.

    Of extent (w, h) is what is shown. Nothing beyond the former box comes into view: it does not move at all
    where more is shown than the box.
    """
    extent, middle = box[2:] - box[:2], (box[:2] + box[2:]) / 2
    room = np.maximum(0, (extent - shown) / 2)
    move = np.clip((person[:2] + person[2:]) / 2 - middle, -room, room)
    return box + np.tile(move, 2)
