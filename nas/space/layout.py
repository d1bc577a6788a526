"""How the dimensions of a space make up an arch, and which of them a given arch uses."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.space.arch import Arch, Block, Head, Neck, Stage, Stem
from nas.space.dimension import Choice, Dimension
from nas.space.fields import BLOCK_OPTIONS, FIXED_OF_BLOCKS, fixed_fault
from nas.space.spec import HeadChoices, NeckSpec, SpaceSpec
from nas.space.stages import StageSpec

Pick = Callable[[Dimension], Any]


class MismatchError(Exception):
    """An arch that is not built like the space; the message names the field."""


@dataclass(frozen=True)
class _StageLayout:
    stride: int
    type: Dimension
    activation: Dimension
    width: Dimension
    depth: Dimension
    options: dict[str, tuple[tuple[str, Dimension], ...]]  # by block type
    blocks: tuple[dict[str, Dimension], ...]  # by field of the block

    def build(self, pick: Pick) -> Stage:
        block_type = pick(self.type)
        fixed = _fixed(block_type)
        return Stage(
            type=block_type,
            activation=pick(self.activation),
            stride=self.stride,
            width=pick(self.width),
            blocks=tuple(
                Block(**fixed, **{name: pick(choice) for name, choice in block.items() if name not in fixed})
                for block in self.blocks[: pick(self.depth)]
            ),
            options=tuple((name, pick(dimension)) for name, dimension in self.options[block_type]),
        )

    def read(self, stage: Stage, place: str) -> Iterator[tuple[Dimension, Choice]]:
        yield self.type, stage.type
        yield self.activation, stage.activation
        if stage.stride != self.stride:
            raise MismatchError(f"{place}.stride: the space has {self.stride}, the arch {stage.stride}")
        yield self.width, stage.width
        yield self.depth, stage.depth
        fixed = _fixed(stage.type)
        for number, (choices, block) in enumerate(zip(self.blocks, stage.blocks, strict=False)):
            values = block.to_json()
            if fault := fixed_fault(stage.type, values):
                raise MismatchError(f"{place}.blocks.{number}.{fault}")
            for name, dimension in choices.items():
                if name not in fixed:
                    yield dimension, values[name]
        yield from _read_options(self.options[stage.type], dict(stage.options), place)

    def count(self) -> int:
        return sum(map(self._count_of, self.options)) * _count((self.activation, self.width))

    def _count_of(self, block_type: str) -> int:
        """Of the options and the blocks of one type."""
        fixed = _fixed(block_type)
        block_counts = [
            _count(dimension for name, dimension in block.items() if name not in fixed)
            for block in self.blocks
        ]
        blocks = sum(prod(block_counts[:depth]) for depth in self.depth.choices if isinstance(depth, int))
        return blocks * _count(dimension for _, dimension in self.options[block_type])


@dataclass(frozen=True)
class _NeckLayout:
    fields: dict[str, Dimension]  # those of this type of neck, by name
    widths: tuple[Dimension, ...]
    coarser: int

    def build(self, neck_type: str, pick: Pick) -> Neck:
        return Neck(
            neck_type,
            widths=tuple(pick(width) for width in self.widths),
            coarser=self.coarser,
            **{name: pick(dimension) for name, dimension in self.fields.items()},
        )

    def read(self, neck: Neck) -> Iterator[tuple[Dimension, Choice]]:
        for name, dimension in self.fields.items():
            yield dimension, str(getattr(neck, name))
        if neck.coarser != self.coarser:
            raise MismatchError(f"neck.coarser: the space has {self.coarser}, the arch {neck.coarser}")
        if len(neck.widths) != len(self.widths):
            raise MismatchError(
                f"neck.widths: the space has {len(self.widths)} levels, the arch {len(neck.widths)}"
            )
        yield from zip(self.widths, neck.widths, strict=True)

    def count(self) -> int:
        return _count((*self.widths, *self.fields.values()))


@dataclass(frozen=True)
class _HeadLayout:
    neck: Dimension
    options: tuple[tuple[str, Dimension], ...]


class Layout:
    """The dimensions of a space in a fixed order, each one after those that decide whether it is active."""

    def __init__(self, spec: SpaceSpec) -> None:
        self.dimensions: tuple[Dimension, ...] = ()
        self.resolution = self._add("resolution", spec.resolutions)
        self._stem_type = spec.stem.type
        self._stem_width = self._add("stem.width", spec.stem.widths)
        self._stem_activation = self._add("stem.activation", spec.stem.activations)
        self._stages = tuple(
            self._stage(f"stages.{number}", stage) for number, stage in enumerate(spec.stages)
        )
        self.head = self._add("head.type", tuple(spec.heads))
        self._heads = {name: self._head_layout(f"head.{name}", head) for name, head in spec.heads.items()}
        self._necks = {name: self._neck_layout(f"neck.{name}", neck) for name, neck in spec.necks.items()}

    @cached_property
    def names(self) -> frozenset[str]:
        """Of all dimensions."""
        return frozenset(dimension.name for dimension in self.dimensions)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """How many choices each dimension has."""
        return np.array([len(dimension.choices) for dimension in self.dimensions])

    def neck_of(self, head: str) -> Dimension:
        """The neck that a head stands on."""
        return self._heads[head].neck

    def build(self, pick: Pick) -> Arch:
        """The arch whose active dimensions have the values that `pick` gives; others are never asked for."""
        resolution = pick(self.resolution)
        stem = Stem(
            type=self._stem_type, width=pick(self._stem_width), activation=pick(self._stem_activation)
        )
        stages = tuple(stage.build(pick) for stage in self._stages)
        head_type = pick(self.head)
        head = self._heads[head_type]
        options = tuple((name, pick(dimension)) for name, dimension in head.options)
        neck_type = pick(head.neck)
        neck = self._necks[neck_type].build(neck_type, pick)
        return Arch(resolution=resolution, stem=stem, stages=stages, neck=neck, head=Head(head_type, options))

    def read(self, arch: Arch) -> Iterator[tuple[Dimension, Choice]]:
        """The active dimensions of an arch with its values, which need not be choices.

        Raises:
            MismatchError: the arch is built otherwise. Stop iterating at the first value that is no choice.
        """
        yield self.resolution, arch.resolution
        if arch.stem.type != self._stem_type:
            raise MismatchError(f"stem.type: the space has {self._stem_type!r}, the arch {arch.stem.type!r}")
        yield self._stem_width, arch.stem.width
        yield self._stem_activation, arch.stem.activation
        if len(arch.stages) != len(self._stages):
            raise MismatchError(f"stages: the space has {len(self._stages)}, the arch {len(arch.stages)}")
        for number, (layout, stage) in enumerate(zip(self._stages, arch.stages, strict=True)):
            yield from layout.read(stage, f"stages.{number}")
        yield self.head, arch.head.type
        head = self._heads[arch.head.type]
        yield from _read_options(head.options, dict(arch.head.options), "head")
        yield head.neck, arch.neck.type
        yield from self._necks[arch.neck.type].read(arch.neck)

    def count(self) -> int:
        """The exact number of distinct archs."""
        necks = {name: neck.count() for name, neck in self._necks.items()}
        heads = sum(
            _count(dimension for _, dimension in head.options) * sum(necks[str(n)] for n in head.neck.choices)
            for head in self._heads.values()
        )
        shared = _count((self.resolution, self._stem_width, self._stem_activation))
        return shared * prod(stage.count() for stage in self._stages) * heads

    def _add(self, name: str, choices: tuple[Choice, ...]) -> Dimension:
        dimension = Dimension(name, choices, len(self.dimensions))
        self.dimensions = (*self.dimensions, dimension)
        return dimension

    def _stage(self, place: str, stage: StageSpec) -> _StageLayout:
        layout = {
            "type": self._add(f"{place}.type", stage.types),
            "activation": self._add(f"{place}.activation", stage.activations),
            "width": self._add(f"{place}.width", stage.widths),
            "depth": self._add(f"{place}.depth", stage.depths),
        }
        options = {
            name: self._add(f"{place}.options.{name}", choices)
            for name, choices in sorted(stage.options.items())
        }
        return _StageLayout(
            stride=stage.stride,
            **layout,
            options={
                block_type: tuple((name, options[name]) for name in sorted(BLOCK_OPTIONS[block_type]))
                for block_type in stage.types
            },
            blocks=tuple(
                {
                    "kernel": self._add(f"{place}.blocks.{number}.kernel", block.kernels),
                    "expansion": self._add(f"{place}.blocks.{number}.expansion", block.expansions),
                }
                for number, block in enumerate(stage.blocks)
            ),
        )

    def _head_layout(self, place: str, head: HeadChoices) -> _HeadLayout:
        return _HeadLayout(
            neck=self._add(f"{place}.neck", head.necks),
            options=tuple(
                (name, self._add(f"{place}.{name}", choices))
                for name, choices in sorted(head.options.items())
            ),
        )

    def _neck_layout(self, place: str, neck: NeckSpec) -> _NeckLayout:
        return _NeckLayout(
            fields={
                name: self._add(f"{place}.{name}", choices)
                for name, choices in (("upsampler", neck.upsamplers), ("convolution", neck.convolutions))
                if choices
            },
            widths=tuple(
                self._add(f"{place}.widths.{level}", widths) for level, widths in enumerate(neck.widths)
            ),
            coarser=neck.coarser,
        )


def _read_options(
    known: tuple[tuple[str, Dimension], ...], given: dict[str, Any], place: str
) -> Iterator[tuple[Dimension, Choice]]:
    names = [name for name, _ in known]
    if sorted(given) != names:
        raise MismatchError(f"{place}.options: the space has {names}, the arch {sorted(given)}")
    for name, dimension in known:
        yield dimension, given[name]


def _fixed(block_type: str) -> Mapping[str, int]:
    """What blocks of a type have no choice of: the space's dimensions of it are inactive."""
    return FIXED_OF_BLOCKS.get(block_type, {})


def _count(dimensions: Any) -> int:
    return prod(len(dimension.choices) for dimension in dimensions)
