"""The arch manager: the public face of a search space."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from nas.space.arch import Arch
from nas.space.space import Resolution, SearchSpace


class ArchManager:
    """Draws, varies and encodes the archs of one search space.

    Args:
        space: a search space, the name of a shipped one, or the path of a YAML file.
    """

    def __init__(self, space: SearchSpace | str | Path) -> None:
        self.space = space if isinstance(space, SearchSpace) else SearchSpace.load(space)

    @property
    def size(self) -> int:
        """The exact number of distinct archs."""
        return self.space.size

    def __contains__(self, arch: object) -> bool:
        return isinstance(arch, Arch) and self.contains(arch)

    def smallest(self, *, head: str | None = None, resolution: Resolution | None = None) -> Arch:
        """The arch of every first choice, head and resolution as given."""
        return self.space.smallest(head=head, resolution=resolution)

    def largest(self, *, head: str | None = None, resolution: Resolution | None = None) -> Arch:
        """The arch of every last choice, head and resolution as given."""
        return self.space.largest(head=head, resolution=resolution)

    def sample(
        self, rng: np.random.Generator, *, head: str | None = None, resolution: Resolution | None = None
    ) -> Arch:
        """An arch drawn uniformly from the choices of each dimension."""
        return self.space.sample(rng, head=head, resolution=resolution)

    def sample_within(
        self,
        rng: np.random.Generator,
        cost: Callable[[Arch], float],
        *,
        low: float = 0.0,
        high: float = float("inf"),
        head: str | None = None,
        resolution: Resolution | None = None,
    ) -> Arch:
        """An arch with low <= cost(arch) <= high. Raises UserError where none is found."""
        return self.space.sample_within(rng, cost, low=low, high=high, head=head, resolution=resolution)

    def mutate(self, arch: Arch, rng: np.random.Generator, *, rate: float = 0.1) -> Arch:
        """A different arch, each dimension changed with probability `rate`."""
        return self.space.mutate(arch, rng, rate=rate)

    def crossover(self, first: Arch, second: Arch, rng: np.random.Generator) -> Arch:
        """An arch that takes each dimension from either parent."""
        return self.space.crossover(first, second, rng)

    def encode(self, arch: Arch) -> dict[str, int]:
        """The index of every active dimension's choice. Raises UserError for an arch of another space."""
        return self.space.encode(arch)

    def decode(self, indices: Mapping[str, int]) -> Arch:
        """The arch of these indices; inactive dimensions are ignored."""
        return self.space.decode(indices)

    def contains(self, arch: Arch) -> bool:
        """Whether the arch is in the space."""
        return self.space.contains(arch)

    def why_not(self, arch: Arch) -> str | None:
        """The field by which an arch falls out of the space; None where it is in."""
        return self.space.why_not(arch)

    def published(self) -> dict[str, Arch]:
        """The published subnets of the space, by name."""
        return self.space.published()
