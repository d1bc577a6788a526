"""Turns: which of several runs that are searched at once scores the next network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Standing:
    """How far one of the runs is.

    Args:
        scored: how many of its networks, for these budgets.
        best: its best accuracy within each budget that it may meet; None where it has no network within.
        exhausted: whether it has no network left to score.
    """

    scored: int
    best: Mapping[float, float | None]
    exhausted: bool = False


def next_turn(standings: Sequence[Standing], trials: int) -> int | None:
    """The position of the run whose turn it is; None where all have scored `trials` together, or none can.

    Half of the networks are dealt out in equal shares. Of the others, a run has a vote of its own and one for
    every budget within which its best network is the most accurate of all, and the turn is that of the run
    with the fewest networks for its votes; of equals, the first. So whoever leads gets ahead, nobody is left
    behind, and all of it follows from what is scored: a search that was killed goes on alike.
    """
    able = [place for place, each in enumerate(standings) if not each.exhausted]
    if not able:
        return None
    fewest = min(able, key=lambda place: standings[place].scored)
    if standings[fewest].scored < max(1, trials // (2 * len(standings))):
        return fewest
    if sum(each.scored for each in standings) >= trials:
        return None
    tops = best_of_all(standings)
    votes = [1 + sum(_leads(best, tops[budget]) for budget, best in each.best.items()) for each in standings]
    return min(able, key=lambda place: standings[place].scored / votes[place])


def best_of_all(standings: Sequence[Standing]) -> dict[float, float | None]:
    """The best accuracy of all runs within each budget, ascending."""
    budgets = sorted({budget for each in standings for budget in each.best})
    known = {
        budget: [best for each in standings if (best := each.best.get(budget)) is not None]
        for budget in budgets
    }
    return {budget: max(found, default=None) for budget, found in known.items()}


def _leads(best: float | None, top: float | None) -> bool:
    return best is not None and best == top
