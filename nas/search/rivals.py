"""The best networks of different heads or supernets: inherited scores do not compare, trained ones do."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from nas.search.choosing import choose_subnets
from nas.search.estimate import Estimate
from nas.search.preparation import Search
from nas.search.results import SearchResult, Subnet
from nas.search.settling import Judge
from nas.search.values import Evaluation
from nas.space import Arch

Train = Callable[[Sequence[Evaluation]], Sequence[Evaluation]]
"""Trains networks on for a while, and scores them anew."""


@dataclass(frozen=True)
class ScoredAlike:
    """Networks whose inherited scores compare: those of one head and supernet.

    Args:
        history: everything scored.
        train: what trains them.
    """

    history: Sequence[Evaluation]
    train: Train

    @classmethod
    def by_head(cls, history: Iterable[Evaluation], train: Train) -> list[Self]:
        """The networks of one supernet, a part for each head."""
        heads: dict[str, list[Evaluation]] = {}
        for item in history:
            heads.setdefault(item.arch.head.type, []).append(item)
        return [cls(heads[head], train) for head in sorted(heads)]


def choose_trained(
    search: Search,
    estimate: Estimate,
    history: Sequence[Evaluation],
    parts: Sequence[ScoredAlike],
    judge: Judge,
    facts: Mapping[str, Any],
    *,
    keep: Callable[[SearchResult], object],
) -> SearchResult:
    """The winner of each budget: of the best network of every part the one that is best when trained.

    Where a budget leaves one network alone, it is not trained.

    Args:
        search, estimate, history, judge, facts: as `choose_subnets` takes them.
        parts: of the history, whose scores do not compare.
        keep: takes the result by inherited scores, before anything is trained.
    """
    chosen = [choose_subnets(search, estimate, part.history, judge, facts) for part in parts]
    rivals: dict[float, list[tuple[Subnet, Train]]] = {budget: [] for budget in search.budgets}
    for result, part in zip(chosen, parts, strict=True):
        for subnet in result.subnets:
            rivals[subnet.budget_ms].append((subnet, part.train))
    groups = [group for group in rivals.values() if group]
    result = SearchResult(
        subnets=tuple(max((subnet for subnet, _ in group), key=_inherited) for group in groups),
        unmet_ms=tuple(budget for budget, group in rivals.items() if not group),
        measured=tuple(each for one in chosen for each in one.measured),
        history=tuple(history),
        facts=facts,
        predicted={key: each for one in chosen for key, each in one.predicted.items()},
    )
    keep(result)
    trained = _trained(groups)
    return replace(result, subnets=tuple(_best(group, trained) for group in groups))


def _trained(groups: Iterable[Sequence[tuple[Subnet, Train]]]) -> Mapping[Arch, Evaluation]:
    """Those that have rivals, trained: all that one `Train` is asked for at once, each of them once."""
    wanted: dict[Train, dict[Arch, Evaluation]] = {}
    for group in groups:
        for subnet, train in group if len(group) > 1 else ():
            wanted.setdefault(train, {})[subnet.arch] = subnet.item
    return {item.arch: item for train, items in wanted.items() for item in train(list(items.values()))}


def _best(rivals: Sequence[tuple[Subnet, Train]], trained: Mapping[Arch, Evaluation]) -> Subnet:
    """Of the rivals for a budget the one that scores best when trained; the faster of equal ones."""
    if len(rivals) == 1:
        return rivals[0][0]
    scored = [(trained[subnet.arch], subnet) for subnet, _ in rivals]
    scored.sort(key=lambda each: (-each[0].accuracy, each[0].predicted_ms))
    return replace(scored[0][1], trained=tuple(item for item, _ in scored))


def _inherited(subnet: Subnet) -> float:
    return subnet.item.accuracy
