"""Values that the parts of a search hand to each other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from nas.space import Arch

Cost = Callable[[Arch], float]
"""Predicted milliseconds of an architecture."""

BatchCost = Callable[[Sequence[Arch]], NDArray[np.float64]]
"""Predicted milliseconds [N] of several architectures at once, which takes less time than one by one."""

Scores = Mapping[str, float]
"""Figures of one evaluation by name, such as AP and PCK@0.2."""


@dataclass(frozen=True)
class Evaluation:
    """A network that was scored with inherited weights.

    Args:
        arch: the architecture.
        predicted_ms: of the current predictor.
        accuracy: the figure that is searched for; higher is better.
        scores: every figure of the evaluation.
        overrun: by how much it is over the limits besides milliseconds, as shares of them.
    """

    arch: Arch
    predicted_ms: float
    accuracy: float
    scores: Scores = field(default_factory=dict, hash=False)
    overrun: float = 0.0


@dataclass(frozen=True)
class Interval:
    """A predicted time, and between which times the measured one lies with a probability of 90 %, in ms."""

    predicted_ms: float
    low_ms: float
    high_ms: float

    @property
    def width(self) -> float:
        """Relative to the predicted time: how little is known."""
        return (self.high_ms - self.low_ms) / self.predicted_ms

    def under_load(self, allowance: float) -> "Interval":
        """Wider by as much as load may have lengthened what was measured, see `load_allowance`."""
        return replace(self, low_ms=self.low_ms / (1 + allowance), high_ms=self.high_ms * (1 + allowance))

    def holds(self, measured_ms: float) -> bool:
        """Whether a measured time lies within."""
        return self.low_ms <= measured_ms <= self.high_ms

    def error(self, measured_ms: float) -> float:
        """predicted / measured - 1."""
        return self.predicted_ms / measured_ms - 1
