"""Values that the parts of a search hand to each other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from nas.arrays import Floats
from nas.space import Arch

Cost = Callable[[Arch], float]
"""Predicted milliseconds of an architecture."""

BatchCost = Callable[[Sequence[Arch]], Floats]
"""Predicted milliseconds [N] of several architectures at once, which takes less time than one by one."""

Scores = Mapping[str, float]
"""Figures of one evaluation by name, such as AP and PCK@0.2.

Names with a `/` belong to a metric: `AP/low` and `AP/high` are the ends of its bootstrap interval over
people, `AP/0.25` is what it was on the first quarter of the images.
"""

STOPPED_AT = "stopped_at"
"""Among the scores of a network that was not scored to the end: on how many people it was. Its metric is then
an estimate."""


def is_whole(scores: Scores) -> bool:
    """Whether scores are of everybody, not of a network that was stopped early."""
    return STOPPED_AT not in scores


def on_part(metric: str, share: float) -> str:
    """The name of what a metric was on the first images, this share of all."""
    return f"{metric}/{share:g}"


def interval_names(metric: str) -> tuple[str, str]:
    """The names of the ends of a metric's bootstrap interval."""
    return f"{metric}/low", f"{metric}/high"


@dataclass(frozen=True)
class Evaluation:
    """A network that was scored with inherited weights.

    Args:
        arch: the architecture.
        predicted_ms: of the current predictor.
        accuracy: the figure that is searched for; higher is better.
        scores: every figure of the evaluation.
        overrun: by how much it is over the limits besides milliseconds, as shares of them.
        interval: between which accuracies it lies with a probability of 95 %, had other people been drawn;
            None where that is not known.
    """

    arch: Arch
    predicted_ms: float
    accuracy: float
    scores: Scores = field(default_factory=dict, hash=False)
    overrun: float = 0.0
    interval: tuple[float, float] | None = None

    @classmethod
    def of(
        cls, arch: Arch, predicted_ms: float, scores: Scores, *, metric: str, overrun: float = 0.0
    ) -> Self:
        """From scores, by the metric that is searched for."""
        low, high = (scores.get(name) for name in interval_names(metric))
        interval = None if low is None or high is None else (low, high)
        return cls(arch, predicted_ms, scores[metric], scores, overrun, interval)

    @property
    def stopped_at(self) -> int | None:
        """After how many people it was stopped, its accuracy being an estimate; None where on everybody."""
        return None if is_whole(self.scores) else int(self.scores[STOPPED_AT])


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
