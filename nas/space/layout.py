"""How the dimensions of a space make up an arch, and which of them a given arch uses."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from nas.arrays import Ints
from nas.space.arch import Arch, Block, Head, Neck, Stage, Stem, fixed_fields
from nas.space.dimension import Choice, Dimension
from nas.space.parts import part
from nas.space.spec import SpaceSpec
from nas.space.specs import BlockSpec
from nas.space.stages import StageChoices

Pick = Callable[[Dimension], Any]
Reading = Iterator[tuple[Dimension, Choice]]


class MismatchError(Exception):
    """An arch that is not built like the space; the message names the field."""


@dataclass(frozen=True)
class _PartLayout:
    """The dimensions of a part of one type."""

    kind: Callable[..., Any]
    place: str  # what messages call it
    shared: Mapping[str, Any]  # the fields that all archs of the space have in common
    fields: Mapping[str, Dimension] = field(default_factory=dict)
    options: tuple[tuple[str, Dimension], ...] | None = None  # sorted by name
    widths: tuple[Dimension, ...] | None = None  # where it has a list of them

    def build(self, pick: Pick, **others: Any) -> Any:
        for name, dimension in self.fields.items():
            others[name] = pick(dimension)
        if self.widths is not None:
            others["widths"] = tuple([pick(width) for width in self.widths])
        if self.options:
            others["options"] = tuple([(name, pick(dimension)) for name, dimension in self.options])
        return self.kind(**self.shared, **others)

    def read(self, value: Any) -> Reading:
        yield from self.read_fields(value)
        yield from self.read_options(value)

    def read_fields(self, value: Any) -> Reading:
        for name, shared in self.shared.items():
            if (own := getattr(value, name)) != shared:
                raise MismatchError(f"{self.place}.{name}: the space has {shared!r}, the arch {own!r}")
        for name, dimension in self.fields.items():
            yield dimension, getattr(value, name)
        if self.widths is not None:
            if len(value.widths) != len(self.widths):
                raise MismatchError(
                    f"{self.place}.widths: the space has {len(self.widths)} levels, "
                    f"the arch {len(value.widths)}"
                )
            yield from zip(self.widths, value.widths, strict=True)

    def read_options(self, value: Any) -> Reading:
        if self.options is None:
            return
        names, given = [name for name, _ in self.options], dict(value.options)
        if sorted(given) != names:
            raise MismatchError(f"{self.place}.options: the space has {names}, the arch {sorted(given)}")
        for name, dimension in self.options:
            yield dimension, given[name]

    def count(self) -> int:
        options = (dimension for _, dimension in self.options or ())
        return _count((*self.fields.values(), *options, *(self.widths or ())))


@dataclass(frozen=True)
class _StageLayout:
    type: Dimension
    depth: Dimension
    parts: Mapping[str, _PartLayout]  # by type
    fixed: Mapping[str, Mapping[str, int]]  # by type: what its blocks have no choice of
    blocks: Mapping[str, tuple[Mapping[str, Dimension], ...]]  # by type: fields of each block

    def build(self, pick: Pick) -> Stage:
        block_type = pick(self.type)
        fixed = self.fixed[block_type]
        blocks = [
            Block(**fixed, **{name: pick(dimension) for name, dimension in block.items()})
            for block in self.blocks[block_type][: pick(self.depth)]
        ]
        stage: Stage = self.parts[block_type].build(pick, blocks=tuple(blocks))
        return stage

    def read(self, stage: Stage, place: str) -> Reading:
        yield self.type, stage.type
        if fault := stage.fault():
            raise MismatchError(f"{place}.{fault}")
        layout = self.parts[stage.type]
        yield from layout.read_fields(stage)
        yield self.depth, stage.depth
        for choices, block in zip(self.blocks[stage.type], stage.blocks, strict=False):
            for name, dimension in choices.items():
                yield dimension, getattr(block, name)
        yield from layout.read_options(stage)

    def count(self) -> int:
        count, depths = 0, [depth for depth in self.depth.choices if isinstance(depth, int)]
        for name, layout in self.parts.items():
            counts = [_count(block.values()) for block in self.blocks[name]]
            count += layout.count() * sum(prod(counts[:depth]) for depth in depths)
        return count


class Layout:
    """The dimensions of a space in a fixed order, each one after those that decide whether it is active."""

    def __init__(self, spec: SpaceSpec) -> None:
        self.dimensions: tuple[Dimension, ...] = ()
        self.resolution = self._add("resolution", spec.resolutions)
        stem = spec.stem
        self._stem = _PartLayout(Stem, "stem", {"type": stem.type}, self._fields("stem", stem.choices()))
        self._stages = tuple(
            self._stage(f"stages.{number}", stage) for number, stage in enumerate(spec.stages)
        )
        self.head = self._add("head.type", tuple(spec.heads))
        self.neck_of: dict[str, Dimension] = {}  # the neck that a head stands on
        self._heads: dict[str, _PartLayout] = {}
        for name, head in spec.heads.items():
            self.neck_of[name] = self._add(f"head.{name}.neck", head.necks)
            options = self._options(f"head.{name}", head.options)
            self._heads[name] = _PartLayout(Head, "head", {"type": name}, options=options)
        self._necks = {
            name: _PartLayout(
                Neck,
                "neck",
                {"type": name, "coarser": neck.coarser},
                self._fields(f"neck.{name}", neck.choices()),
                self._options(f"neck.{name}", neck.options),
                self._widths(f"neck.{name}", neck.widths),
            )
            for name, neck in spec.necks.items()
        }

    @cached_property
    def names(self) -> frozenset[str]:
        """Of all dimensions."""
        return frozenset(dimension.name for dimension in self.dimensions)

    @cached_property
    def deciders(self) -> tuple[Dimension, ...]:
        """The dimensions whose choices say which others are active."""
        stages = (dimension for stage in self._stages for dimension in (stage.type, stage.depth))
        return (*stages, self.head, *self.neck_of.values())

    @cached_property
    def counts(self) -> Ints:
        """How many choices each dimension has."""
        return np.array([len(dimension.choices) for dimension in self.dimensions])

    def build(self, pick: Pick) -> Arch:
        """The arch whose active dimensions have the values that `pick` gives; others are never asked for."""
        resolution, stem = pick(self.resolution), self._stem.build(pick)
        stages = tuple([stage.build(pick) for stage in self._stages])
        name = pick(self.head)
        head = self._heads[name].build(pick)
        neck = self._necks[pick(self.neck_of[name])].build(pick)
        return Arch(resolution=resolution, stem=stem, stages=stages, neck=neck, head=head)

    def read(self, arch: Arch) -> Reading:
        """The active dimensions of an arch with its values, which need not be choices.

        Raises:
            MismatchError: the arch is built otherwise. Stop iterating at the first value that is no choice.
        """
        yield self.resolution, arch.resolution
        yield from self._stem.read(arch.stem)
        if len(arch.stages) != len(self._stages):
            raise MismatchError(f"stages: the space has {len(self._stages)}, the arch {len(arch.stages)}")
        for number, (layout, stage) in enumerate(zip(self._stages, arch.stages, strict=True)):
            yield from layout.read(stage, f"stages.{number}")
        yield self.head, arch.head.type
        yield from self._heads[arch.head.type].read(arch.head)
        yield self.neck_of[arch.head.type], arch.neck.type
        yield from self._necks[arch.neck.type].read(arch.neck)

    def count(self) -> int:
        """The exact number of distinct archs."""
        necks = {name: neck.count() for name, neck in self._necks.items()}
        heads = sum(
            head.count() * sum(necks[str(neck)] for neck in self.neck_of[name].choices)
            for name, head in self._heads.items()
        )
        stages = prod(stage.count() for stage in self._stages)
        return len(self.resolution.choices) * self._stem.count() * stages * heads

    def _add(self, name: str, choices: tuple[Choice, ...]) -> Dimension:
        dimension = Dimension(name, choices, len(self.dimensions))
        self.dimensions = (*self.dimensions, dimension)
        return dimension

    def _fields(self, place: str, choices_of: Mapping[str, tuple[Choice, ...]]) -> dict[str, Dimension]:
        """The dimensions of what a part lists choices of, by field."""
        return {
            name: self._add(f"{place}.{name}", choices) for name, choices in choices_of.items() if choices
        }

    def _options(
        self, place: str, options: Mapping[str, tuple[Choice, ...]]
    ) -> tuple[tuple[str, Dimension], ...]:
        return tuple((name, self._add(f"{place}.{name}", options[name])) for name in sorted(options))

    def _widths(self, place: str, widths: tuple[tuple[int, ...], ...]) -> tuple[Dimension, ...]:
        return tuple(self._add(f"{place}.widths.{level}", choices) for level, choices in enumerate(widths))

    def _stage(self, place: str, stage: StageChoices) -> _StageLayout:
        block_type = self._add(f"{place}.type", stage.types)
        fields = {
            "activation": self._add(f"{place}.activation", stage.activations),
            "width": self._add(f"{place}.width", stage.widths),
        }
        depth = self._add(f"{place}.depth", stage.depths)
        options = self._options(f"{place}.options", stage.options)
        blocks = [
            self._fields(f"{place}.blocks.{number}", block) for number, block in enumerate(stage.blocks)
        ]
        fixed = {name: fixed_fields(name) for name in stage.types}
        parts = {
            name: _PartLayout(
                Stage,
                place,
                {"type": name, "stride": stage.stride},
                fields,
                tuple(pair for pair in options if pair[0] in part(BlockSpec, name).options),
            )
            for name in stage.types
        }
        free = {
            name: tuple(
                {field: dimension for field, dimension in block.items() if field not in fixed[name]}
                for block in blocks
            )
            for name in stage.types
        }
        return _StageLayout(block_type, depth, parts, fixed, free)


def _count(dimensions: Iterable[Dimension]) -> int:
    return prod(len(dimension.choices) for dimension in dimensions)
