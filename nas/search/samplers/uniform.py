"""Random search."""

import numpy as np

from nas.search.samplers.base import ArchSampler, Known
from nas.space import Arch


class UniformSampler(ArchSampler):
    """Draws uniformly; what is over the largest budget is moved within it."""

    name = "random"

    def _propose(self, known: Known, rng: np.random.Generator) -> Arch:
        return self._moved(self._genome.random(rng), known, rng)
