"""The search itself: propose, score, keep, until so many networks are scored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from nas.search.pareto import best_accuracies
from nas.search.record import EvaluationCache, SearchRecord
from nas.search.samplers import ArchSampler, NothingLeftError
from nas.search.values import Evaluation, Scores
from nas.space import Arch


class Evaluator(Protocol):
    """Scores networks with inherited weights."""

    @property
    def key(self) -> str:
        """A digest of what networks are scored with: weights, calibration and search images."""
        ...

    def __call__(self, arch: Arch) -> Scores: ...


@dataclass(frozen=True)
class SearchProgress:
    """How far a search is.

    Args:
        done, total: networks scored.
        best: by budget, the best accuracy so far.
        latest: what was scored last; None before the first.
    """

    done: int
    total: int
    best: dict[float, float | None]
    latest: Evaluation | None = None


ShowProgress = Callable[[SearchProgress], None]
"""Takes how far a search is, before the first network and after each."""


def score_networks(
    sampler: ArchSampler,
    evaluate: Evaluator,
    *,
    record: SearchRecord,
    cache: EvaluationCache,
    budgets_ms: Sequence[float],
    trials: int,
    report: ShowProgress,
    until: int | None = None,
) -> list[Evaluation]:
    """Score networks until the record holds `trials` of these budgets; returns all that the record holds.

    `until` stops earlier, at so many of the trials.

    Every network is on disk before the next is proposed, so that a killed search goes on where it was. It
    ends early where no network within the budgets is left.
    """
    history = record.history()
    done = record.count(budgets_ms)
    stop = trials if until is None else min(until, trials)
    report(SearchProgress(done, trials, best_accuracies(history, budgets_ms)))
    while done < stop:
        try:
            arch = record.ask(sampler)
        except NothingLeftError:
            break
        scores = cache.get(evaluate.key, arch)
        # Scores of before the metric existed (a skeleton's `pck:` may have been added since) are taken anew.
        if scores is None or record.metric not in scores:
            scores = evaluate(arch)
            cache.add(evaluate.key, arch, scores)
        history.append(record.add(arch, scores, budgets_ms=budgets_ms, sampler=sampler.name))
        done += 1
        report(SearchProgress(done, trials, best_accuracies(history, budgets_ms), history[-1]))
    return history
