"""The arch manager: draws, varies and encodes the archs of a search space."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypedDict, Unpack

import numpy as np

from nas.errors import UserError
from nas.space.arch import Arch
from nas.space.dimension import Choice, Dimension
from nas.space.space import Resolution, SearchSpace


class Given(TypedDict, total=False):
    """Choices that are not left open: a head, the neck that it stands on, the input size (h, w) in pixels."""

    head: str | None
    neck: str | None
    resolution: Resolution | None


@dataclass(frozen=True)
class ArchManager:
    """Draws, varies and encodes the archs of one search space. Cheap to make: it keeps nothing of its own."""

    space: SearchSpace

    def smallest(self, **given: Unpack[Given]) -> Arch:
        """The arch of every first choice, but some as given."""
        return self.space.layout.build(self._fix(lambda dimension: dimension.choices[0], **given))

    def largest(self, **given: Unpack[Given]) -> Arch:
        """The arch of every last choice, but some as given."""
        return self.space.layout.build(self._fix(lambda dimension: dimension.choices[-1], **given))

    def sample(self, rng: np.random.Generator, **given: Unpack[Given]) -> Arch:
        """An arch whose active dimensions are drawn uniformly, but some as given."""
        draws = rng.integers(self.space.layout.counts).tolist()
        return self.space.layout.build(
            self._fix(lambda dimension: dimension.choices[draws[dimension.position]], **given)
        )

    def sample_within(
        self,
        rng: np.random.Generator,
        cost: Callable[[Arch], float],
        *,
        low: float = 0.0,
        high: float = float("inf"),
        tries: int = 2000,
        **given: Unpack[Given],
    ) -> Arch:
        """An arch with low <= cost(arch) <= high, by rejection; some choices as given.

        Raises:
            UserError: none was found in `tries` draws; says what those drawn cost.
        """
        seen = []
        for _ in range(tries):
            arch = self.sample(rng, **given)
            seen.append(cost(arch))
            if low <= seen[-1] <= high:
                return arch
        raise UserError(
            f"space {self.space.name!r}: none of {tries} archs drawn costs between {low:g} and {high:g}; "
            f"they cost {min(seen):g} to {max(seen):g}; widen the bounds"
        )

    def mutate(self, arch: Arch, rng: np.random.Generator, *, rate: float = 0.1) -> Arch:
        """A different arch: each active dimension changes with probability `rate`, at least one does.

        Dimensions that become active are drawn uniformly. The space's only arch is returned as it is.
        """
        if not 0 <= rate <= 1:
            raise ValueError(f"rate must be between 0 and 1, got {rate}")
        current = self._read(arch)
        elastic = [dimension for dimension in current if dimension.elastic]
        if not elastic:
            return arch
        changes = rng.random(len(elastic)) < rate
        changes[rng.integers(len(elastic))] |= not changes.any()
        draws = rng.integers(self.space.layout.counts).tolist()
        for dimension, changed in zip(elastic, changes, strict=True):
            if changed:
                # Skipping over the present choice keeps the draw uniform over the others.
                other = int(rng.integers(len(dimension.choices) - 1))
                draws[dimension.position] = other + (other >= current[dimension])
            else:
                draws[dimension.position] = current[dimension]
        return self.space.layout.build(lambda dimension: dimension.choices[draws[dimension.position]])

    def crossover(self, first: Arch, second: Arch, rng: np.random.Generator) -> Arch:
        """An arch that takes each dimension from either parent with equal chance.

        What is active in neither parent is drawn uniformly.
        """
        parents = (self._read(first), self._read(second))
        sides = rng.integers(2, size=len(self.space.dimensions)).tolist()
        draws: list[int] = rng.integers(self.space.layout.counts).tolist()

        def pick(dimension: Dimension) -> Choice:
            side = sides[dimension.position]
            for parent in (parents[side], parents[1 - side]):
                if dimension in parent:
                    return dimension.choices[parent[dimension]]
            # Its conditions came from both: the depth from one parent, the block type from the other.
            return dimension.choices[draws[dimension.position]]

        return self.space.layout.build(pick)

    def encode(self, arch: Arch) -> dict[str, int]:
        """The index of every active dimension's choice. Raises UserError for an arch of another space."""
        return {dimension.name: index for dimension, index in self._read(arch).items()}

    def decode(self, indices: Mapping[str, int]) -> Arch:
        """The arch of these indices; inactive dimensions may be left out and are ignored.

        Raises:
            UserError: an unknown name, a missing active dimension, or an index out of range.
        """
        for name in indices:
            if name not in self.space.layout.names:
                raise UserError(f"space {self.space.name!r} has no dimension {name!r}")

        def pick(dimension: Dimension) -> Choice:
            index = indices.get(dimension.name)
            if index is None or not 0 <= index < len(dimension.choices):
                raise UserError(
                    f"space {self.space.name!r}: {dimension.name}: expected an index from 0 to "
                    f"{len(dimension.choices) - 1}, got {index}"
                )
            return dimension.choices[index]

        return self.space.layout.build(pick)

    def _read(self, arch: Arch) -> dict[Dimension, int]:
        """The active dimensions with the indices of their choices."""
        if reason := self.space.why_not(arch):
            raise UserError(f"arch {arch.id} is not in space {self.space.name!r}: {reason}")
        return {dimension: dimension.indices[value] for dimension, value in self.space.layout.read(arch)}

    def _fix(
        self, pick: Callable[[Dimension], Choice], **given: Unpack[Given]
    ) -> Callable[[Dimension], Choice]:
        """`pick`, but some as given. Raises UserError where the space has no such choice."""
        layout, head, neck = self.space.layout, given.get("head"), given.get("neck")
        asked: list[tuple[Dimension, Choice | None]] = [
            (layout.head, head),
            (layout.resolution, given.get("resolution")),
        ]
        if head in self.space.heads:
            asked.append((layout.neck_of[head], neck))
        elif neck is not None:
            raise ValueError(f"neck {neck!r}: choose the head that is to stand on it, too")
        fixed: dict[Dimension, Choice] = {}
        for dimension, value in asked:
            if value is None:
                continue
            if fault := dimension.fault(value):
                raise UserError(f"space {self.space.name!r}: {fault}")
            fixed[dimension] = value
        if not fixed:
            return pick
        return lambda dimension: fixed[dimension] if dimension in fixed else pick(dimension)
