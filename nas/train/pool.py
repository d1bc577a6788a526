"""A pool of costed networks, drawn from evenly over their cost."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from nas.space import Arch, ArchManager, SearchSpace
from nas.space.arch import Head

Costs = Callable[[Sequence[Arch]], Sequence[float]]
"""What each of many networks costs: predicted ms or MACs."""


@dataclass(frozen=True)
class Setting:
    """What all networks of one step share: they see the same images and targets, on maps of the same size."""

    resolution: tuple[int, int]
    head: Head
    neck: str

    def smallest(self, space: SearchSpace) -> Arch:
        """The smallest network of the setting."""
        found = ArchManager(space).smallest(head=self.head.type, neck=self.neck, resolution=self.resolution)
        return replace(found, head=self.head)

    def largest(self, space: SearchSpace) -> Arch:
        """The largest network of the setting."""
        found = ArchManager(space).largest(head=self.head.type, neck=self.neck, resolution=self.resolution)
        return replace(found, head=self.head)

    def sample(self, space: SearchSpace, rng: np.random.Generator) -> Arch:
        """A network of the setting, drawn uniformly over choices."""
        found = ArchManager(space).sample(
            rng, head=self.head.type, neck=self.neck, resolution=self.resolution
        )
        return replace(found, head=self.head)


@dataclass(frozen=True)
class ArchPool:
    """Networks and the cost bin that each falls into.

    Drawing takes the bin first, uniformly among those that are not empty, then a network of the bin: a
    uniform draw over choices would nearly always give networks of middling cost.
    """

    archs: tuple[Arch, ...]
    bins: tuple[int, ...]

    @classmethod
    def draw(
        cls, space: SearchSpace, rng: np.random.Generator, *, size: int, bins: int, costs: Costs
    ) -> "ArchPool":
        """Draw `size` networks and put them into `bins` bins, equally wide on a logarithmic scale of cost."""
        archs = spread_archs(space, rng, size)
        scale = np.log(np.asarray(costs(archs), dtype=np.float64))
        edges = np.linspace(scale.min(), scale.max(), bins + 1)[1:-1]
        return cls(archs, tuple(int(bin) for bin in np.digitize(scale, edges)))

    def sample(self, rng: np.random.Generator, setting: Setting | None = None) -> Arch:
        """One network, fair in cost: over the whole pool, or of one setting."""
        by_bin = self._by_setting[setting]
        members = by_bin[int(rng.integers(len(by_bin)))]
        return self.archs[members[int(rng.integers(len(members)))]]

    @cached_property
    def digest(self) -> str:
        """Changes with any network or bin of the pool."""
        text = "\n".join(f"{arch.id} {bin}" for arch, bin in zip(self.archs, self.bins, strict=True))
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def _by_setting(self) -> dict[Setting | None, list[list[int]]]:
        members: dict[Setting | None, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for index, (arch, bin) in enumerate(zip(self.archs, self.bins, strict=True)):
            members[None][bin].append(index)
            members[setting_of(arch)][bin].append(index)
        return {key: [bins[bin] for bin in sorted(bins)] for key, bins in members.items()}


def setting_of(arch: Arch) -> Setting:
    """The setting that a network is trained in."""
    return Setting(arch.resolution, arch.head, arch.neck.type)


def spread_archs(space: SearchSpace, rng: np.random.Generator, count: int) -> tuple[Arch, ...]:
    """So many networks of a space, from the cheapest to the most expensive.

    Two thirds are uniform draws crossed with the smallest or the largest network of their head and
    resolution, because hardly any plain draw comes near the ends of the scale.
    """
    manager = ArchManager(space)

    def draw(index: int) -> Arch:
        arch = manager.sample(rng)
        if index % 3 == 0:
            return arch
        end = manager.smallest if index % 3 == 1 else manager.largest
        return manager.crossover(arch, end(head=arch.head.type, resolution=arch.resolution), rng)

    return tuple(map(draw, range(count)))
