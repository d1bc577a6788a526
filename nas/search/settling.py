"""What decides where finalists can hardly be told apart: more images, and a second timing side by side."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from nas.search.finalists import Finalist, Finals, Measure, best_within
from nas.search.limits import Limits
from nas.search.values import Evaluation


class Judge(Protocol):
    """Tells finalists apart by accuracy."""

    def whole(self, item: Evaluation) -> Evaluation:
        """The same, scored on everybody."""
        ...

    def tied(self, one: Evaluation, other: Evaluation) -> bool:
        """Whether other people could have put them in the other order."""
        ...

    def closer(self, item: Evaluation) -> Evaluation:
        """The same, scored with more images."""
        ...


def settle(
    finals: Finals,
    judge: Judge,
    *,
    again: Measure,
    limits: Limits | None = None,
) -> Finals:
    """Decide each budget on what is certain.

    Of the finalists that may keep a budget, those that are tied with the most accurate one are scored with
    more images, and timed again side by side. Whoever leads, or is tied, and keeps or misses the budget by
    less than the noise of the timings is timed again as well; the mean decides. Nobody is scored or timed
    more than once again.
    """
    limits = limits or Limits()
    known = {finalist.item.arch.id: finalist for finalist in finals.measured}
    closer: set[str] = set()
    while True:
        leading = {budget: _leading(known.values(), budget, judge, limits) for budget in finals.winners}
        ties = [f for group in leading.values() if len(group) > 1 for f in group]
        if rescored := {f.item.arch.id for f in ties} - closer:
            for key in sorted(rescored):
                known[key] = replace(known[key], item=judge.closer(known[key].item))
            closer |= rescored
            continue
        near = [f for budget, group in leading.items() for f in group if _is_near(f, budget)]
        unsure = {f.item.arch.id: f.item.arch for f in [*ties, *near] if not f.timings}
        if not unsure:
            break
        times = again([unsure[key] for key in sorted(unsure)])
        known.update((key, known[key].timed_again(times[key])) for key in unsure)
    winners = {budget: best_within(known.values(), budget, limits) for budget in finals.winners}
    tied = {
        budget: tuple(f.item.arch.id for f in leading[budget] if f is not winner)
        for budget, winner in winners.items()
        if winner is not None
    }
    return Finals(winners, tuple(known.values()), tied)


def most_accurate(finalists: Sequence[Evaluation], judge: Judge) -> tuple[Evaluation, tuple[str, ...]]:
    """Of networks that nobody times, the most accurate one first: it, and the ids of those tied with it.

    What is tied is scored with more images, once; of equally accurate ones the faster is taken.
    """
    best = finalists[0]
    tied = [item for item in finalists if item is best or judge.tied(best, item)]
    if len(tied) > 1:
        tied = [judge.closer(item) for item in tied]
        best = max(tied, key=lambda item: (item.accuracy, -item.predicted_ms))
    return best, tuple(item.arch.id for item in tied if item is not best)


def _leading(finalists: Iterable[Finalist], budget: float, judge: Judge, limits: Limits) -> list[Finalist]:
    """The most accurate one that keeps a budget, or may do so, and those that are tied with it."""
    possible = [
        f
        for f in finalists
        if limits.keeps(f.measured) and (_fits(f, budget) or (_is_near(f, budget) and not f.timings))
    ]
    best = max(possible, key=lambda f: (f.item.accuracy, -f.measured.ms), default=None)
    return [f for f in possible if best is not None and (f is best or judge.tied(best.item, f.item))]


def _fits(finalist: Finalist, budget: float) -> bool:
    return finalist.measured.ms <= budget


def _is_near(finalist: Finalist, budget: float) -> bool:
    """Whether a second timing could come out on the other side of a budget."""
    return abs(finalist.measured.ms / budget - 1) < finalist.measured.noise
