"""What a set of evaluations says: the Pareto front, the best within a budget."""

from collections.abc import Iterable, Sequence

from nas.search.values import Evaluation


def whole(evaluations: Iterable[Evaluation]) -> list[Evaluation]:
    """The networks that were scored on everybody, without those that were stopped early."""
    return [item for item in evaluations if item.stopped_at is None]


def pareto_front(evaluations: Iterable[Evaluation]) -> list[Evaluation]:
    """The networks within all limits that no other one beats in both accuracy and time, by rising time.

    What was stopped early is on no front.
    """
    front: list[Evaluation] = []
    allowed = [item for item in whole(evaluations) if item.overrun == 0]
    for item in sorted(allowed, key=lambda e: (e.predicted_ms, -e.accuracy)):
        if not front or item.accuracy > front[-1].accuracy:
            front.append(item)
    return front


def within(evaluations: Iterable[Evaluation], budget_ms: float) -> list[Evaluation]:
    """The networks within a budget and all limits, best first; of equally accurate ones the faster first."""
    fitting = [item for item in evaluations if item.predicted_ms <= budget_ms and item.overrun == 0]
    return sorted(fitting, key=lambda e: (-e.accuracy, e.predicted_ms))


def best_accuracies(history: Sequence[Evaluation], budgets_ms: Sequence[float]) -> dict[float, float | None]:
    """The best accuracy so far within each budget."""
    known = whole(history)
    tops = {budget: within(known, budget)[:1] for budget in budgets_ms}
    return {budget: top[0].accuracy if top else None for budget, top in tops.items()}
