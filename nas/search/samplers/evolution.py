"""The evolution that LitePose searched with (github.com/mit-han-lab/litepose), and before it Once-for-All."""

import numpy as np

from nas.search.pareto import within
from nas.search.samplers.base import ArchSampler, Known
from nas.space import Arch, ArchManager

POPULATION = 40
PARENTS = 0.25
MUTATION = 0.1


class LitePoseEvolution(ArchSampler):
    """Generations of 40: children of the best quarter of all before, half of them mutated, half crossed.

    One constraint is all that LitePose knows; here the budgets take turns, each with parents of its own.
    """

    name = "evolution"

    def _propose(self, known: Known, rng: np.random.Generator) -> Arch:
        budget = self._budgets[known.number % len(self._budgets)]
        former = known.scored[: known.number // POPULATION * POPULATION]
        parents = [item.arch for item in within(former, budget)[: round(PARENTS * POPULATION)]]
        return self._moved(
            self._genome.read(self._child(parents, rng)) if len(parents) > 1 else self._genome.random(rng),
            known,
            rng,
            budget_ms=budget,
        )

    def _child(self, parents: list[Arch], rng: np.random.Generator) -> Arch:
        manager = ArchManager(self._space)
        one, two = (parents[int(place)] for place in rng.choice(len(parents), size=2, replace=False))
        if rng.random() < 0.5:
            return manager.mutate(one, rng, rate=MUTATION)
        return manager.crossover(one, two, rng)
