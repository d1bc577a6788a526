"""Search spaces: which networks there are, and how to draw, vary and encode them."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np

from nas.errors import UserError
from nas.shipped import locate
from nas.space.arch import Arch
from nas.space.arch_json import load_arch
from nas.space.dimension import Choice, Dimension
from nas.space.heads import Task
from nas.space.layout import Layout, MismatchError
from nas.space.spec import SpaceSpec

FORMAT_VERSION = 1

Resolution = tuple[int, int]
_Item = TypeVar("_Item")


class SearchSpace:
    """The networks that a YAML file describes.

    Every choice is a `Dimension`: a named list from cheap to dear. A dimension is active in an arch where the
    arch's other choices give it a meaning (a block within the depth, the options of the chosen head).

    Args:
        spec: the validated description, which the network builder reads too.
        folder: where the subnets of `published` are looked for before those that ship with the package.
    """

    def __init__(self, spec: SpaceSpec, *, folder: Path | None = None) -> None:
        self.spec = spec
        self._folder = folder
        self._layout = Layout(spec)
        self._counts = np.array([len(dimension.choices) for dimension in self.dimensions])
        self._names = {dimension.name: dimension for dimension in self.dimensions}

    @classmethod
    def load(cls, name_or_path: str | Path) -> Self:
        """A shipped space by its name, or one of a YAML file. Raises UserError naming file and field."""
        path = locate("search_spaces", name_or_path, ".yaml")
        return cls(SpaceSpec.load(path), folder=path.parent)

    @classmethod
    def of(cls, arch: Arch) -> Self:
        """The space that holds this arch and no other. Raises UserError where the arch is not valid."""
        return cls(SpaceSpec.of(arch))

    @classmethod
    def from_json(cls, data: Mapping[str, Any], *, source: str = "search space") -> Self:
        """The space of `to_json`'s data. Raises UserError `source: field: what is wrong`."""
        if not isinstance(data, Mapping) or data.get("version") != FORMAT_VERSION:
            raise UserError(
                f"{source}: version: this package reads search spaces of version {FORMAT_VERSION}"
            )
        return cls(SpaceSpec.read({key: value for key, value in data.items() if key != "version"}, source))

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` gives an equal space back."""
        return {"version": FORMAT_VERSION, **self.spec.to_json()}

    def narrow(
        self, *, resolutions: Sequence[Resolution] | None = None, heads: Sequence[str] | None = None
    ) -> Self:
        """The same space with some of its resolutions or heads only. Raises UserError for what it has not."""
        changes: dict[str, Any] = {}
        if resolutions is not None:
            changes["resolutions"] = _some_of(self.resolutions, resolutions, f"{self.name!r}: resolution")
        if heads is not None:
            kept = _some_of(self.heads, heads, f"{self.name!r}: head")
            changes["heads"] = {name: self.spec.heads[name] for name in kept}
            used = {neck for head in changes["heads"].values() for neck in head.necks}
            changes["necks"] = {name: neck for name, neck in self.spec.necks.items() if name in used}
        return type(self)(self.spec.model_copy(update=changes), folder=self._folder)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SearchSpace) and self.spec == other.spec

    def __hash__(self) -> int:
        return hash((self.name, self.dimensions))

    def __repr__(self) -> str:
        return f"SearchSpace({self.name!r}, {len(self.dimensions)} dimensions)"

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def task(self) -> Task:
        """ "image": many people in a whole image; "crop": one person."""
        return self.spec.task

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """All dimensions, each after those that decide whether it is active."""
        return self._layout.dimensions

    @property
    def heads(self) -> tuple[str, ...]:
        """The names of the heads to choose from."""
        return tuple(self.spec.heads)

    @property
    def resolutions(self) -> tuple[Resolution, ...]:
        """The input sizes (h, w) in pixels to choose from."""
        return self.spec.resolutions

    @cached_property
    def size(self) -> int:
        """The exact number of distinct archs."""
        return self._layout.count()

    def smallest(
        self, *, head: str | None = None, neck: str | None = None, resolution: Resolution | None = None
    ) -> Arch:
        """The arch of every first choice; a head, its neck and the resolution as given."""
        return self._layout.build(self._fix(lambda dimension: dimension.choices[0], head, neck, resolution))

    def largest(
        self, *, head: str | None = None, neck: str | None = None, resolution: Resolution | None = None
    ) -> Arch:
        """The arch of every last choice; a head, its neck and the resolution as given."""
        return self._layout.build(self._fix(lambda dimension: dimension.choices[-1], head, neck, resolution))

    def sample(
        self,
        rng: np.random.Generator,
        *,
        head: str | None = None,
        neck: str | None = None,
        resolution: Resolution | None = None,
    ) -> Arch:
        """An arch whose active dimensions are drawn uniformly; a head, its neck, the resolution as given."""
        draws = rng.integers(self._counts).tolist()
        pick = self._fix(
            lambda dimension: dimension.choices[draws[dimension.position]], head, neck, resolution
        )
        return self._layout.build(pick)

    def sample_within(
        self,
        rng: np.random.Generator,
        cost: Callable[[Arch], float],
        *,
        low: float = 0.0,
        high: float = float("inf"),
        head: str | None = None,
        resolution: Resolution | None = None,
        tries: int = 2000,
    ) -> Arch:
        """An arch with low <= cost(arch) <= high, by rejection.

        Raises:
            UserError: none was found in `tries` draws; says what those drawn cost.
        """
        seen = []
        for _ in range(tries):
            arch = self.sample(rng, head=head, resolution=resolution)
            seen.append(cost(arch))
            if low <= seen[-1] <= high:
                return arch
        raise UserError(
            f"space {self.name!r}: none of {tries} archs drawn costs between {low:g} and {high:g}; "
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
        draws = rng.integers(self._counts).tolist()
        for dimension, changed in zip(elastic, changes, strict=True):
            if changed:
                # Skipping over the present choice keeps the draw uniform over the others.
                other = int(rng.integers(len(dimension.choices) - 1))
                draws[dimension.position] = other + (other >= current[dimension])
            else:
                draws[dimension.position] = current[dimension]
        return self._layout.build(lambda dimension: dimension.choices[draws[dimension.position]])

    def crossover(self, first: Arch, second: Arch, rng: np.random.Generator) -> Arch:
        """An arch that takes each dimension from either parent with equal chance.

        What is active in neither parent is drawn uniformly.
        """
        parents = (self._read(first), self._read(second))
        sides = rng.integers(2, size=len(self.dimensions)).tolist()
        draws: list[int] = rng.integers(self._counts).tolist()

        def pick(dimension: Dimension) -> Choice:
            side = sides[dimension.position]
            for parent in (parents[side], parents[1 - side]):
                if dimension in parent:
                    return dimension.choices[parent[dimension]]
            # Its conditions came from both: the depth from one parent, the block type from the other.
            return dimension.choices[draws[dimension.position]]

        return self._layout.build(pick)

    def encode(self, arch: Arch) -> dict[str, int]:
        """The index of every active dimension's choice. Raises UserError for an arch of another space."""
        return {dimension.name: index for dimension, index in self._read(arch).items()}

    def decode(self, indices: Mapping[str, int]) -> Arch:
        """The arch of these indices; inactive dimensions may be left out and are ignored.

        Raises:
            UserError: an unknown name, a missing active dimension, or an index out of range.
        """
        for name in indices:
            if name not in self._names:
                raise UserError(f"space {self.name!r} has no dimension {name!r}")

        def pick(dimension: Dimension) -> Choice:
            index = indices.get(dimension.name)
            if index is None or not 0 <= index < len(dimension.choices):
                raise UserError(
                    f"space {self.name!r}: {dimension.name}: expected an index from 0 to "
                    f"{len(dimension.choices) - 1}, got {index}"
                )
            return dimension.choices[index]

        return self._layout.build(pick)

    def contains(self, arch: Arch) -> bool:
        """Whether the arch is one of the space's."""
        return self.why_not(arch) is None

    def why_not(self, arch: Arch) -> str | None:
        """By which field an arch falls out of the space, and what is allowed there; None where it is in."""
        try:
            for dimension, value in self._layout.read(arch):
                if dimension.index(value) is None:
                    allowed = ", ".join(str(choice) for choice in dimension.choices)
                    return f"{dimension.name}: {value} is not among {allowed}"
        except MismatchError as mismatch:
            return str(mismatch)
        return None

    def published(self) -> dict[str, Arch]:
        """The subnets that the space names as published, by name.

        Raises:
            UserError: one cannot be read, or is not in the space.
        """
        archs = {name: load_arch(self._published_file(name)) for name in self.spec.published}
        for name, arch in archs.items():
            if reason := self.why_not(arch):
                raise UserError(
                    f"space {self.name!r} does not contain its published subnet {name!r}: {reason}"
                )
        return archs

    def _published_file(self, name: str) -> Path:
        beside = self._folder / name if self._folder else None
        return beside if beside and beside.is_file() else locate("subnets", name, ".json")

    def _read(self, arch: Arch) -> dict[Dimension, int]:
        """The active dimensions with the indices of their choices."""
        if reason := self.why_not(arch):
            raise UserError(f"arch {arch.id} is not in space {self.name!r}: {reason}")
        return {dimension: dimension._indices[value] for dimension, value in self._layout.read(arch)}

    def _fix(
        self,
        pick: Callable[[Dimension], Choice],
        head: str | None,
        neck: str | None,
        resolution: Resolution | None,
    ) -> Callable[[Dimension], Choice]:
        """`pick`, but some as given. Raises UserError where the space has no such choice."""
        given: list[tuple[Dimension, Choice | None]] = [
            (self._layout.head, head),
            (self._layout.resolution, resolution),
        ]
        if head in self.heads:
            given.append((self._layout.neck_of(head), neck))
        elif neck is not None:
            raise ValueError(f"neck {neck!r}: choose the head that is to stand on it, too")
        fixed: dict[Dimension, Choice] = {}
        for dimension, value in given:
            if value is None:
                continue
            if dimension.index(value) is None:
                allowed = ", ".join(str(choice) for choice in dimension.choices)
                raise UserError(f"space {self.name!r}: {dimension.name}: {value} is not among {allowed}")
            fixed[dimension] = value
        if not fixed:
            return pick
        return lambda dimension: fixed[dimension] if dimension in fixed else pick(dimension)


def _some_of(choices: Sequence[_Item], wanted: Sequence[_Item], what: str) -> tuple[_Item, ...]:
    """Those wanted, in the order of the choices."""
    for item in wanted:
        if item not in choices:
            raise UserError(f"space {what}: {item} is not among {', '.join(map(str, choices))}")
    return tuple(item for item in choices if item in wanted)
