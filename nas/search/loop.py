"""The search itself: propose, score, keep, until so many networks are scored."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from nas.search.pareto import best_accuracies
from nas.search.record import EvaluationCache, SearchRecord
from nas.search.samplers import ArchSampler, NothingLeftError
from nas.search.values import Evaluation, Scores, is_whole
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


_POLL_S = 1.0

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
    wait: Callable[[float], None] = time.sleep,
) -> list[Evaluation]:
    """Score networks until the record holds `trials` of these budgets; returns all that the record holds.

    `until` stops earlier, at so many of the trials. Other processes may score for the same record.

    A network is claimed before it is scored, and on disk before the next is claimed, so that a killed search
    goes on where it was. It ends early where no network within the budgets is left. Where others score the
    last ones, it waits for them with `wait`, and takes over what they leave behind.
    """
    stop = trials if until is None else min(until, trials)

    def tell(latest: Evaluation | None = None) -> None:
        best = best_accuracies(record.history(), budgets_ms)
        report(SearchProgress(record.count(budgets_ms), trials, best, latest))

    tell()
    while record.count(budgets_ms) < stop:
        others = record.is_in_work
        try:
            claim = record.claim(sampler, budgets_ms=budgets_ms, most=stop)
        except NothingLeftError:
            if not others:
                break
            claim = None
        if claim is None:
            wait(_POLL_S)
            continue
        with record.held(claim):
            found = record.tell(claim, scored(evaluate, claim.arch, cache, metric=record.metric))
        if found:
            tell(found)
    return record.history()


def scored(evaluate: Evaluator, arch: Arch, cache: EvaluationCache, *, metric: str) -> Scores:
    """What is known of a network, or is found out now and kept.

    What was stopped early is not kept: another search may need it whole.
    """
    scores = cache.get(evaluate.key, arch)
    # Scores of before the metric existed (a skeleton's `pck:` may have been added since) are taken anew.
    if scores is None or metric not in scores:
        scores = evaluate(arch)
        if is_whole(scores):
            cache.add(evaluate.key, arch, scores)
    return scores
