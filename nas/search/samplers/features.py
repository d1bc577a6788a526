"""Features: what a model of accuracy sees of an architecture."""

import re
from collections import defaultdict

import numpy as np

from nas.arrays import Floats
from nas.search.samplers.genes import INACTIVE, Genes, Genome

_LAST_NUMBER = re.compile(r"\d+(?=\D*$)")
_NUMBERS = re.compile(r"\d+")


class Features:
    """Where each choice is in its list, from -1 to 1, and averages over dimensions of one kind.

    Larger kernels in every block do much the same: averages over a stage's blocks and over all stages let few
    networks say what many dimensions have in common. An inactive dimension is 0, and no part of an average.

    Args:
        genome: of the space.
    """

    def __init__(self, genome: Genome) -> None:
        groups: dict[str, list[int]] = defaultdict(list)
        for place, name in enumerate(genome.names):
            for kind in dict.fromkeys((_LAST_NUMBER.sub("*", name), _NUMBERS.sub("*", name))):
                groups[kind].append(place)
        members = [places for places in groups.values() if len(places) > 1]
        self._scale = 2 / (genome.sizes - 1)
        self._groups = np.zeros((len(members), len(genome.names)))
        for row, places in enumerate(members):
            self._groups[row, places] = 1.0
        # An average over many varies less: by the root of their number.
        self._spread = np.sqrt(self._groups.sum(axis=1))

    def __call__(self, genes: Genes) -> Floats:
        """Features [N, F] of genes [N, D]."""
        active = genes != INACTIVE
        positions = np.where(active, genes * self._scale - 1, 0.0)
        counts = np.maximum(active @ self._groups.T, 1.0)
        averages = positions @ self._groups.T / counts * self._spread
        return np.concatenate([positions, averages], axis=1)
