"""The best of each budget, really measured: what was measured is what is reported."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from nas.search.limits import Limits
from nas.search.measurement import Measurement
from nas.search.pareto import within
from nas.search.values import Evaluation
from nas.space import Arch

ROUNDS = 4


Measure = Callable[[Sequence[Arch]], Mapping[str, Measurement]]
"""Measures networks side by side; the results by arch id."""


@dataclass(frozen=True)
class Finalist:
    """A scored network that was measured."""

    item: Evaluation
    measured: Measurement


@dataclass(frozen=True)
class Finals:
    """The outcome.

    Args:
        winners: by budget, the most accurate network that was measured within it; None where none was.
        measured: every network that was measured.
    """

    winners: Mapping[float, Finalist | None]
    measured: tuple[Finalist, ...]


def measure_finalists(
    history: Sequence[Evaluation],
    budgets_ms: Sequence[float],
    measure: Measure,
    *,
    per_budget: int,
    limits: Limits | None = None,
) -> Finals:
    """Measure the best `per_budget` networks of each budget, and further ones while none of them fits.

    A predictor that is a few percent off would otherwise leave a budget empty: after the first round its
    scale is corrected by the median of measured over predicted time, and what is over by that is left out.
    A winner keeps the limits as measured too.
    """
    limits = limits or Limits()

    def winner(budget: float) -> Finalist | None:
        return _winner([f for f in known.values() if limits.keeps(f.measured)], budget)

    known: dict[str, Finalist] = {}
    open_budgets = list(budgets_ms)
    for _ in range(ROUNDS):
        scale = median([f.measured.ms / f.item.predicted_ms for f in known.values()] or [1.0])
        chosen = {
            item.arch.id: item
            for budget in open_budgets
            for item in _next(history, budget / max(scale, 1.0), known, per_budget)
        }
        if not chosen:
            break
        times = measure([item.arch for item in chosen.values()])
        known.update((key, Finalist(item, times[key])) for key, item in chosen.items())
        open_budgets = [budget for budget in open_budgets if winner(budget) is None]
        if not open_budgets:
            break
    return Finals({budget: winner(budget) for budget in budgets_ms}, tuple(known.values()))


def _next(
    history: Sequence[Evaluation], budget: float, known: Mapping[str, Finalist], count: int
) -> list[Evaluation]:
    """The best networks within a budget that are not measured yet."""
    return [item for item in within(history, budget) if item.arch.id not in known][:count]


def _winner(measured: Iterable[Finalist], budget: float) -> Finalist | None:
    fitting = [finalist for finalist in measured if finalist.measured.ms <= budget]
    return max(fitting, key=lambda f: (f.item.accuracy, -f.measured.ms), default=None)
