"""Which networks to measure during a search, so that its predictor gets better where it matters."""

from collections.abc import Callable, Sequence
from itertools import chain, zip_longest

from nas.search.values import Evaluation, Interval
from nas.space import Arch

NEAR = 0.8
"""Networks from this share of a budget on count as near it."""
_INTERESTING = 16


def choose_networks(
    history: Sequence[Evaluation],
    budgets_ms: Sequence[float],
    *,
    count: int,
    interval: Callable[[Arch], Interval],
    unmeasured: Callable[[Sequence[Arch]], Sequence[Arch]],
) -> list[Evaluation]:
    """Up to `count` scored networks, by turns a finalist-to-be and the one that least is known of.

    Args:
        history: what was scored.
        budgets_ms: aimed at.
        interval: what is predicted of an architecture.
        unmeasured: keeps those that are still to be measured.
    """
    fresh = {arch.id for arch in unmeasured([item.arch for item in history])}
    open_items = [item for item in history if item.arch.id in fresh and item.overrun == 0]
    contenders = [_contenders(open_items, budget, interval) for budget in budgets_ms]
    finalists = _by_turns(contenders)
    interesting = chain.from_iterable(
        [item for item in best if item.predicted_ms >= NEAR * budget][:_INTERESTING]
        for best, budget in zip(contenders, budgets_ms, strict=True)
    )
    unsure = sorted(interesting, key=lambda item: -interval(item.arch).width)
    # Dictionaries keep the order in which their keys came.
    chosen = {item.arch.id: item for item in _by_turns([finalists, unsure])}
    return list(chosen.values())[:count]


def _contenders(
    items: Sequence[Evaluation], budget: float, interval: Callable[[Arch], Interval]
) -> list[Evaluation]:
    """Networks that may be measured within a budget, the most accurate first."""
    possible = [item for item in items if interval(item.arch).low_ms <= budget]
    return sorted(possible, key=lambda item: (-item.accuracy, item.predicted_ms))


def _by_turns(lists: Sequence[Sequence[Evaluation]]) -> list[Evaluation]:
    """The first of each list, then the second of each ..."""
    return [item for turn in zip_longest(*lists) for item in turn if item is not None]
