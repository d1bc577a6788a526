"""Every head by itself, in turns: a head that begins badly is looked at as well, and has a best network."""

from collections.abc import Mapping, Sequence

import numpy as np

from nas.search.limits import Overrun, no_overrun
from nas.search.pareto import best_accuracies
from nas.search.samplers.base import ArchSampler, Known, NothingLeftError
from nas.search.samplers.genes import Genome
from nas.search.samplers.prior import Prior
from nas.search.values import BatchCost, Evaluation
from nas.space import Arch, SearchSpace


class HeadTurns(ArchSampler):
    """Draws for one head at a time, with a sampler for each.

    Half of the networks are for all heads alike, the other half for those whose best network leads within a
    budget: the turn is that of the head with the fewest networks for its votes, see `head_votes`. So of two
    heads one that leads nowhere gets a quarter of the networks.

    Args:
        kind: of the samplers.
        space, predict, budgets_ms, seed, overrun, prior: as every sampler takes them. Of the prior, each has
            the networks of its own head, where they are enough.
    """

    name = "each-head"

    def __init__(
        self,
        kind: type[ArchSampler],
        space: SearchSpace,
        predict: BatchCost,
        *,
        budgets_ms: Sequence[float],
        seed: int,
        overrun: Overrun = no_overrun,
        prior: Prior | None = None,
    ) -> None:
        super().__init__(space, predict, budgets_ms=budgets_ms, seed=seed, overrun=overrun, prior=prior)
        self._samplers: dict[str, ArchSampler] = {}
        for head in space.heads:
            own = space.narrow(heads=[head])
            mine = None if prior is None else prior.of_head(head, Genome(space), Genome(own))
            self._samplers[head] = kind(
                own, predict, budgets_ms=budgets_ms, seed=seed, overrun=overrun, prior=mine
            )

    def _propose(self, known: Known, rng: np.random.Generator) -> Arch:
        of_heads = {head: _of(head, known) for head in self._samplers}
        scored = {head: mine.scored for head, mine in of_heads.items()}
        votes = head_votes(scored, self._budgets)
        for head in sorted(of_heads, key=lambda head: of_heads[head].number / votes[head]):
            try:
                return self._samplers[head]._propose(of_heads[head], rng)
            except NothingLeftError:
                continue
        raise NothingLeftError(f"no further network within {self._budgets[-1]:g} ms was found")


def head_votes(scored: Mapping[str, Sequence[Evaluation]], budgets_ms: Sequence[float]) -> dict[str, float]:
    """The votes of heads, by what was scored: of every budget one for who leads, and one that all share."""
    bests = {head: best_accuracies(items, budgets_ms) for head, items in scored.items()}
    votes = dict.fromkeys(scored, len(budgets_ms) / len(scored))
    for budget in budgets_ms:
        known = {head: top for head, best in bests.items() if (top := best[budget]) is not None}
        if known:
            votes[max(known, key=lambda head: known[head])] += 1
    return votes


def _of(head: str, known: Known) -> Known:
    """What is known of the networks of one head."""
    scored = [item for item in known.scored if item.arch.head.type == head]
    running = [arch for arch in known.running if arch.head.type == head]
    return Known(scored, running, len(scored) + len(running))
