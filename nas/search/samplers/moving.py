"""Moving networks within bounds: a budget is kept before a network is scored, not after."""

from collections.abc import Container

import numpy as np

from nas.search.limits import Overrun
from nas.search.samplers.genes import INACTIVE, Genes, Genome
from nas.search.values import BatchCost
from nas.space import Arch

_STEPS = 400
# Choices are ordered from cheap to expensive, so most steps go where the bounds are.
_TOWARDS = 0.75
_INSIDE = (0.0, 0.0)


class Mover:
    """Changes one dimension at a time by one choice until a network is new and within bounds.

    Args:
        genome: of the space.
        predict: milliseconds.
        overrun: of further limits.
    """

    def __init__(self, genome: Genome, predict: BatchCost, overrun: Overrun) -> None:
        self._genome = genome
        self._predict = predict
        self._overrun = overrun

    def __call__(
        self,
        genes: Genes,
        rng: np.random.Generator,
        *,
        high_ms: float,
        taken: Container[Arch],
        low_ms: float = 0.0,
    ) -> Arch | None:
        """A network near `genes` that takes `low_ms` to `high_ms`, keeps the limits and is not taken.

        One that is within them already is returned as it is. None where so many steps have led to none; one
        that takes less than `low_ms` is good enough then.
        """
        genes = np.where(genes == INACTIVE, self._genome.random(rng), genes)
        arch = self._genome.build(genes)
        away, cost = self._away(arch, low_ms, high_ms)
        below = None
        for _ in range(_STEPS):
            if arch not in taken and away == _INSIDE:
                return arch
            if arch not in taken and away[0] == 0 and cost <= high_ms:
                below = arch
            if not len(genes):
                break
            moved = self._step(genes, rng, upwards=away[0] == 0 and cost < low_ms, free=away == _INSIDE)
            candidate = self._genome.build(moved)
            if candidate == arch:
                # The dimension is inactive, or at its end: nothing to ask.
                genes = moved
                continue
            changed, candidate_cost = self._away(candidate, low_ms, high_ms)
            if changed <= away:
                genes, arch, away, cost = moved, candidate, changed, candidate_cost
        return below

    def _step(self, genes: Genes, rng: np.random.Generator, *, upwards: bool, free: bool) -> Genes:
        place = int(rng.integers(len(genes)))
        towards = rng.random() < (0.5 if free else _TOWARDS)
        moved = genes.copy()
        index = genes[place] + (1 if towards == upwards else -1)
        moved[place] = min(max(index, 0), self._genome.sizes[place] - 1)
        return moved

    def _away(self, arch: Arch, low_ms: float, high_ms: float) -> tuple[tuple[float, float], float]:
        """How far a network is over the limits and outside the bounds, in ms; and what it takes.

        The limits come first: what is cheap enough for them may lie below the bounds.
        """
        cost = float(self._predict([arch])[0])
        return (self._overrun(arch), max(cost - high_ms, low_ms - cost, 0.0)), cost
