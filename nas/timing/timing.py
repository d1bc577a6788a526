"""The timing of one network, put together from its visits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import numpy as np

from nas.timing.profile import OperatorTime, minima
from nas.timing.protocol import Visit, undisturbed_ms


@dataclass(frozen=True)
class Timing:
    """What is known of one network.

    Args:
        key: the network's key in its table.
        name: for people.
        description: arch, skeleton, MACs ..., as the table keeps them.
        visits: in the order in which they were made.
    """

    key: str
    name: str
    description: Mapping[str, Any]
    visits: tuple[Visit, ...]

    @property
    def operators(self) -> tuple[OperatorTime, ...]:
        """Every operator's minimum over all visits."""
        return minima([visit.operators for visit in self.visits])

    @property
    def measured_ms(self) -> float:
        """The protocol's label: the time of an undisturbed run. It holds the decode, not the grouping."""
        return _label(self.visits)

    @property
    def median_ms(self) -> float:
        """The median wall time of whole runs."""
        return float(np.median(self._wall))

    @property
    def p95_ms(self) -> float:
        """The 95th percentile of the wall time of whole runs."""
        return float(np.percentile(self._wall, 95))

    @property
    def minimum_ms(self) -> float:
        """The shortest whole run."""
        return float(min(self._wall))

    @property
    def cpu_ms(self) -> float:
        """The shortest whole run by processor time: a cross-check that waiting does not touch."""
        return min(value for visit in self.visits for value in visit.cpu_ms)

    @property
    def outside_ms(self) -> float:
        """The minimum of the work outside the graph (grouping); not a number where it was not timed."""
        return min((ms for visit in self.visits if not isnan(ms := visit.outside_ms)), default=nan)

    @property
    def loaded(self) -> bool:
        """Whether a visit was taken while others used too much of the processor."""
        return any(visit.loaded for visit in self.visits)

    @property
    def disagreement(self) -> float | None:
        """How far the labels of the even and the odd visits lie apart, relative; None with one visit."""
        if len(self.visits) < 2:
            return None
        halves = _label(self.visits[::2]), _label(self.visits[1::2])
        return abs(halves[0] - halves[1]) / (sum(halves) / 2)

    @property
    def _wall(self) -> list[float]:
        return [value for visit in self.visits for value in visit.wall_ms]

    def to_json(self) -> dict[str, Any]:
        """The figures in ms, for printing."""
        return {
            "network": self.key,
            "name": self.name,
            "measured_ms": self.measured_ms,
            "median_ms": self.median_ms,
            "p95_ms": self.p95_ms,
            "minimum_ms": self.minimum_ms,
            "cpu_ms": self.cpu_ms,
            "outside_ms": self.outside_ms,
            "visits": len(self.visits),
            "loaded": self.loaded,
        }


_TINY_MS = 1e-6
"""A clock may read nothing at all of a network that computes nothing."""


@dataclass(frozen=True)
class Ratio:
    """One network's label over another's, visit by visit: the median and the range of the visits' ratios."""

    median: float
    low: float
    high: float


def ratio(timing: Timing, reference: Timing) -> Ratio:
    """How `timing` stands to `reference`; visits of one round are compared, since they lie close in time."""
    pairs = zip(timing.visits, reference.visits, strict=False)
    ratios = [visit.label_ms / max(other.label_ms, _TINY_MS) for visit, other in pairs]
    return Ratio(float(np.median(ratios)), min(ratios), max(ratios))


def noise_floor(timings: Sequence[Timing]) -> float | None:
    """The error of the labels themselves: no predictor can be told from a better one below this figure.

    It is the mean disagreement of half the visits with the other half, over the square root of two, since
    both halves err; None where no network has two visits.
    """
    known = [value for timing in timings if (value := timing.disagreement) is not None]
    return float(np.mean(known) / np.sqrt(2)) if known else None


def _label(visits: Sequence[Visit]) -> float:
    wall = [value for visit in visits for value in visit.wall_ms]
    return undisturbed_ms(wall, minima([visit.operators for visit in visits]))
