"""Genes: architectures as vectors, one entry for each elastic dimension of a space."""

from collections.abc import Mapping

import numpy as np
import optuna

from nas.arrays import Flags, Ints
from nas.space import Arch, Dimension, SearchSpace
from nas.space.dimension import Choice

Genes = Ints
"""[D] or [N, D] indices of choices, in the order of the space's elastic dimensions."""

INACTIVE = -1
"""Stands in `Genes` where an architecture's other choices leave a dimension without a meaning."""


def index_distributions(space: SearchSpace) -> dict[str, optuna.distributions.BaseDistribution]:
    """Every elastic dimension as the index of its choice: choices are ordered, so nearness has a meaning."""
    return {
        dimension.name: optuna.distributions.IntDistribution(0, len(dimension.choices) - 1)
        for dimension in space.dimensions
        if dimension.elastic
    }


class Genome:
    """Turns the architectures of one space into genes and back.

    Args:
        space: of the architectures.

    Attributes:
        names: of the elastic dimensions.
        sizes: [D] how many choices each has.
    """

    def __init__(self, space: SearchSpace) -> None:
        elastic = [dimension for dimension in space.dimensions if dimension.elastic]
        self.names = tuple(dimension.name for dimension in elastic)
        self.sizes: Genes = np.array([len(dimension.choices) for dimension in elastic], np.int64)
        self._layout = space.layout
        self._places = {dimension.position: place for place, dimension in enumerate(elastic)}
        self._by_name = {name: place for place, name in enumerate(self.names)}
        places = (self._places.get(dimension.position) for dimension in space.layout.deciders)
        self._deciders = [place for place in places if place is not None]
        self._active: dict[bytes, Flags] = {}
        """By the choices of those that decide it, which dimensions are active."""

    def random(self, rng: np.random.Generator) -> Genes:
        """Of an architecture that is drawn uniformly; inactive dimensions are drawn too."""
        return rng.integers(self.sizes) if len(self.sizes) else np.zeros(0, np.int64)

    def build(self, genes: Genes) -> Arch:
        """The architecture of these genes; those of inactive dimensions are ignored.

        Raises:
            KeyError: an active dimension has no gene.
        """
        return self.express(genes)[0]

    def express(self, genes: Genes) -> tuple[Arch, Genes]:
        """The architecture of these genes, and those of them that are active in it: as `read` reads them.

        Raises:
            KeyError: an active dimension has no gene.
        """
        indices: list[int] = genes.tolist()
        active, places = [INACTIVE] * len(indices), self._places

        def pick(dimension: Dimension) -> Choice:
            place = places.get(dimension.position)
            if place is None:
                return dimension.choices[0]
            active[place] = index = indices[place]
            if index == INACTIVE:
                raise KeyError(dimension.name)
            return dimension.choices[index]

        return self._layout.build(pick), np.array(active, np.int64)

    def active(self, genes: Genes) -> Genes:
        """Of genes [N, D] those that are active, as `express` has them of each row.

        Raises:
            KeyError: as `express` does.
        """
        kept = np.empty_like(genes)
        for row, deciding in enumerate(genes[:, self._deciders]):
            key = deciding.tobytes()
            if key not in self._active:
                self._active[key] = self.express(genes[row])[1] != INACTIVE
            kept[row] = np.where(self._active[key], genes[row], INACTIVE)
        return kept

    def read(self, arch: Arch) -> Genes:
        """The genes of an architecture of the space."""
        genes = [INACTIVE] * len(self.names)
        for dimension, value in self._layout.read(arch):
            place = self._places.get(dimension.position)
            if place is not None:
                genes[place] = dimension.indices[value]
        return np.array(genes, np.int64)

    def of_params(self, params: Mapping[str, int]) -> Arch | None:
        """The architecture of a trial's parameters; None while some of them are still to come."""
        genes = np.full(len(self.names), INACTIVE, np.int64)
        for name, index in params.items():
            genes[self._by_name[name]] = index
        try:
            return self.build(genes)
        except KeyError:
            return None

    def params(self, arch: Arch) -> dict[str, int]:
        """An index for every elastic dimension: in the middle where a dimension is inactive."""
        genes = self.read(arch)
        filled = np.where(genes == INACTIVE, (self.sizes - 1) // 2, genes)
        return dict(zip(self.names, filled.tolist(), strict=True))
