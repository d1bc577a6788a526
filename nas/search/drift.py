"""Drift of the machine: what networks of the latency table take now, over what the table says."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from scipy.special import stdtrit

from nas.evenly import evenly
from nas.latency import LatencyPredictor
from nas.search.measuring import Bench, fitted_timings
from nas.space import Arch
from nas.timing import Network, Timing

REFERENCES = 7
"""So many networks of the table are timed along."""
_LEAST = 3
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Drift:
    """How networks of the latency table are timed now.

    Args:
        ratio: of now to the table, the geometric mean.
        low, high: its 95 % interval.
        networks: how many were timed.
    """

    ratio: float
    low: float
    high: float
    networks: int

    @classmethod
    def of(cls, now: Sequence[Timing], table: Sequence[Timing]) -> Self | None:
        """From timings of the same networks; None where too few were timed without load."""
        pairs = [(new, old) for new, old in zip(now, table, strict=True) if not (new.loaded or old.loaded)]
        if len(pairs) < _LEAST:
            return None
        ratios = np.log([new.measured_ms / old.measured_ms for new, old in pairs])
        half = stdtrit(len(pairs) - 1, (1 + _CONFIDENCE) / 2) * ratios.std(ddof=1) / np.sqrt(len(pairs))
        middle = ratios.mean()
        low, ratio, high = np.exp([middle - half, middle, middle + half]).tolist()
        return cls(ratio, low, high, len(pairs))

    @property
    def correction(self) -> float:
        """What times of now are to be divided by: the ratio, or 1 where that may be noise."""
        return 1.0 if self.low <= 1.0 <= self.high else self.ratio


class References:
    """Networks of the latency table, to be timed along with others.

    Args:
        table: of the predictor; None where it is not at hand.
        predictor: that was fitted on the table, of this machine.
        bench: makes the networks.
    """

    def __init__(self, table: Path | None, predictor: LatencyPredictor, bench: Bench) -> None:
        self._bench = bench
        known = fitted_timings(table, predictor) if predictor.remark is None else []
        archs = [(Arch.from_json(timing.description["arch"]), timing) for timing in known]
        self._known = sorted(
            (
                (arch, timing)
                for arch, timing in archs
                if bench.space.contains(arch) and bench.network(arch).key == timing.key
            ),
            key=lambda pair: pair[1].measured_ms,
        )

    def besides(self, archs: Collection[Arch]) -> list[tuple[Network, Timing]]:
        """Up to seven networks that are none of these, evenly spread over time, and what the table says."""
        others = [(arch, timing) for arch, timing in self._known if arch not in archs]
        chosen = [others[place] for place in evenly(len(others), REFERENCES)]
        return [(self._bench.network(arch), timing) for arch, timing in chosen]
