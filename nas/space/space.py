"""Search spaces: which networks there are."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

from nas.errors import UserError
from nas.shipped import locate
from nas.space.arch import Arch
from nas.space.dimension import Dimension
from nas.space.layout import Layout, MismatchError
from nas.space.spec import HeadChoices, SpaceSpec
from nas.space.specs import Task

FORMAT_VERSION = 1

Resolution = tuple[int, int]
_Item = TypeVar("_Item")


class SearchSpace:
    """The networks that a YAML file describes.

    Every choice is a `Dimension`: a named list from cheap to expensive. It is active in an arch where the
    arch's other choices give it a meaning (a block within the depth, the options of the chosen head).

    Args:
        spec: the validated description, which the network builder reads too.
        folder: where the subnets of `published` are looked for before those that ship with the package.

    Attributes:
        layout: how the dimensions make up an arch.
    """

    def __init__(self, spec: SpaceSpec, *, folder: Path | None = None) -> None:
        self.spec = spec
        self._folder = folder
        self.layout = Layout(spec)

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
        self,
        *,
        resolutions: Sequence[Resolution] | None = None,
        heads: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    ) -> Self:
        """The same space with some of its resolutions or heads only. Raises UserError for what it has not.

        Args:
            resolutions: those to keep.
            heads: those to keep; as a mapping, each with those of its necks that it keeps.
        """
        changes: dict[str, Any] = {}
        if resolutions is not None:
            changes["resolutions"] = _some_of(self.resolutions, resolutions, f"{self.name!r}: resolution")
        if heads is not None:
            kept = _some_of(self.heads, tuple(heads), f"{self.name!r}: head")
            necks = heads if isinstance(heads, Mapping) else {}
            changes["heads"] = {name: self._on_necks(name, necks.get(name)) for name in kept}
            used = {neck for head in changes["heads"].values() for neck in head.necks}
            changes["necks"] = {name: neck for name, neck in self.spec.necks.items() if name in used}
        return type(self)(self.spec.model_copy(update=changes), folder=self._folder)

    def _on_necks(self, head: str, wanted: Sequence[str] | None) -> HeadChoices:
        """One of the heads, on those necks only; on all of its own where none are named."""
        choices = self.spec.heads[head]
        if wanted is None:
            return choices
        necks = _some_of(choices.necks, wanted, f"{self.name!r}: head {head} on neck")
        return choices.model_copy(update={"necks": necks})

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
        return self.layout.dimensions

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
        return self.layout.count()

    def contains(self, arch: Arch) -> bool:
        """Whether the arch is one of the space's."""
        return self.why_not(arch) is None

    def why_not(self, arch: Arch) -> str | None:
        """By which field an arch falls out of the space, and what is allowed there; None where it is in."""
        try:
            for dimension, value in self.layout.read(arch):
                if fault := dimension.fault(value):
                    return fault
        except MismatchError as mismatch:
            return str(mismatch)
        return None

    def published(self) -> dict[str, Arch]:
        """The subnets that the space names as published, by name.

        Raises:
            UserError: one cannot be read, or is not in the space.
        """
        archs = {name: Arch.load(self._published_file(name)) for name in self.spec.published}
        for name, arch in archs.items():
            if reason := self.why_not(arch):
                raise UserError(
                    f"space {self.name!r} does not contain its published subnet {name!r}: {reason}"
                )
        return archs

    def _published_file(self, name: str) -> Path:
        beside = self._folder / name if self._folder else None
        return beside if beside and beside.is_file() else locate("subnets", name, ".json")


def _some_of(choices: Sequence[_Item], wanted: Sequence[_Item], what: str) -> tuple[_Item, ...]:
    """Those wanted, in the order of the choices."""
    for item in wanted:
        if item not in choices:
            raise UserError(f"space {what}: {item} is not among {', '.join(map(str, choices))}")
    return tuple(item for item in choices if item in wanted)
