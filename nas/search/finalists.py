"""The best of each budget, really measured: what was measured is what is reported."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    """A scored network that was measured.

    Args:
        item: scores.
        measured: the mean of its timings.
        timings: each of them, where there were several.
    """

    item: Evaluation
    measured: Measurement
    timings: tuple[Measurement, ...] = ()

    def timed_again(self, measured: Measurement) -> "Finalist":
        """With a further timing."""
        timings = (*(self.timings or (self.measured,)), measured)
        return replace(self, measured=Measurement.mean(timings), timings=timings)


@dataclass(frozen=True)
class Finals:
    """The outcome.

    Args:
        winners: by budget, the most accurate network that was measured within it; None where none was.
        measured: every network that was measured.
        tied: by budget, the ids of others within it that are no less accurate than the winner as far as can
            be told.
    """

    winners: Mapping[float, Finalist | None]
    measured: tuple[Finalist, ...]
    tied: Mapping[float, tuple[str, ...]] = field(default_factory=dict)


def measure_finalists(
    history: Sequence[Evaluation],
    budgets_ms: Sequence[float],
    measure: Measure,
    *,
    per_budget: int,
    limits: Limits | None = None,
    whole: Callable[[Evaluation], Evaluation] = lambda item: item,
) -> Finals:
    """Measure the best `per_budget` networks of each budget, and further ones while none of them fits.

    A predictor that is a few percent off would otherwise leave a budget empty: after the first round its
    scale is corrected by the median of measured over predicted time, and what is over by that is left out.
    A winner keeps the limits as measured too. Networks that were stopped early and are among the best are
    measured besides, once `whole` has scored them to the end.
    """
    limits = limits or Limits()

    def winner(budget: float) -> Finalist | None:
        return best_within(known.values(), budget, limits)

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
        scored = {key: item if item.stopped_at is None else whole(item) for key, item in chosen.items()}
        times = measure([item.arch for item in scored.values()])
        known.update((key, Finalist(item, times[key])) for key, item in scored.items())
        open_budgets = [budget for budget in open_budgets if winner(budget) is None]
        if not open_budgets:
            break
    return Finals({budget: winner(budget) for budget in budgets_ms}, tuple(known.values()))


def best_within(measured: Iterable[Finalist], budget: float, limits: Limits) -> Finalist | None:
    """The most accurate one that was measured within a budget and the limits; of equal ones the faster."""
    fitting = [f for f in measured if f.measured.ms <= budget and limits.keeps(f.measured)]
    return max(fitting, key=lambda f: (f.item.accuracy, -f.measured.ms), default=None)


def _next(
    history: Sequence[Evaluation], budget: float, known: Mapping[str, Finalist], count: int
) -> list[Evaluation]:
    """The best networks within a budget that are not measured yet; those that were stopped come besides."""
    chosen: list[Evaluation] = []
    for item in within(history, budget):
        if sum(other.stopped_at is None for other in chosen) == count:
            break
        if item.arch.id not in known:
            chosen.append(item)
    return chosen
