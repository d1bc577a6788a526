"""Values that the parts of a search hand to each other."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nas.space import Arch

Cost = Callable[[Arch], float]
"""Predicted milliseconds of an architecture."""

Scores = Mapping[str, float]
"""Figures of one evaluation by name, such as AP and PCK@0.2."""


@dataclass(frozen=True)
class Evaluated:
    """A network that was scored with inherited weights.

    Args:
        arch: the architecture.
        predicted_ms: of the current predictor.
        accuracy: the figure that is searched for; higher is better.
        scores: every figure of the evaluation.
    """

    arch: Arch
    predicted_ms: float
    accuracy: float
    scores: Scores = field(default_factory=dict, hash=False)
