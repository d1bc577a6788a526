"""What describes a part of a network, once: its name, where its torch class lies, what it lets one choose.

Standard library only: the codecs that are packed for other devices need no more.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from math import inf
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from nas.errors import UserError

OptionValue = int | float | str | bool
Task = Literal["image", "crop"]


@dataclass(frozen=True, kw_only=True)
class PartSpec:
    """A type of part.

    Args:
        name: as written in search spaces and arch JSONs.
        module: "package.module:Class" of its torch module.
    """

    noun: ClassVar[str]

    name: str
    module: str

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, dict):
                object.__setattr__(self, name, MappingProxyType(dict(value)))

    def load_module(self) -> Any:
        """The torch class (imports torch)."""
        return load(self.module)


@dataclass(frozen=True, kw_only=True)
class Range:
    """The numbers that an option may be, bounds included except `above` and `below`."""

    least: float = -inf
    most: float = inf
    above: float = -inf
    below: float = inf
    multiple_of: int = 0

    def fault(self, value: float) -> str | None:
        """Why a number is not within; None where it is."""
        within = self.least <= value <= self.most and self.above < value < self.below
        if within and not (self.multiple_of and value % self.multiple_of):
            return None
        return f"expected {self}, got {value:g}"

    def __str__(self) -> str:
        bounds = {"of at least": self.least, "at most": self.most, "above": self.above, "below": self.below}
        told = " and ".join(f"{word} {bound:g}" for word, bound in bounds.items() if abs(bound) < inf)
        return f"a {f'multiple of {self.multiple_of}' if self.multiple_of else 'number'} {told}"


@dataclass(frozen=True, kw_only=True)
class VariedSpec(PartSpec):
    """A type of part that has options.

    Args:
        options: every option with its default, whose type is the option's.
        ranges: the names that an option may be, or the range of its numbers; without one, all of its type.
        later: options that came after networks had been published without them. At their defaults files leave
            them out, so that the ids of older archs stay.
    """

    options: Mapping[str, OptionValue] = field(default_factory=dict)
    ranges: Mapping[str, tuple[str, ...] | Range] = field(default_factory=dict)
    later: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for option, value in self.options.items():
            if fault := self.range_fault(option, value):
                raise ValueError(f"the default of {fault}")

    def range_fault(self, option: str, value: Any) -> str | None:
        """Why an option of the right type cannot have a value, led by its name; None where it can."""
        allowed = self.ranges.get(option)
        if isinstance(allowed, Range):
            fault = allowed.fault(value)
        elif allowed is not None and value not in allowed:
            fault = f"{value!r} is unknown; choose one of {', '.join(allowed)}"
        else:
            return None
        return fault and f"option {option!r} of {self.noun} {self.name!r}: {fault}"

    def complete(self, given: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
        """All options, those not given at their defaults.

        Raises:
            UserError: unknown option, or a value of another type than the option's default or out of range.
        """
        for option, value in given.items():
            if option not in self.options:
                known = ", ".join(self.options) or "none"
                raise UserError(f"{self.noun} {self.name!r} has no option {option!r}; its options: {known}")
            expected = type(self.options[option])
            if type(value) is not expected and not (expected is float and type(value) is int):
                raise UserError(
                    f"option {option!r} of {self.noun} {self.name!r}: "
                    f"expected {expected.__name__}, got {value!r}"
                )
            if fault := self.range_fault(option, value):
                raise UserError(fault)
        return {**self.options, **given}

    def written(self, options: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
        """The options that a file has to name: `complete` of these gives all of them back."""
        later = {option: self.options[option] for option in self.later}
        return {option: value for option, value in options.items() if (option, value) not in later.items()}


@dataclass(frozen=True, kw_only=True)
class StemSpec(PartSpec):
    """A type of stem, built as `Class(width)` and called as `module(images, stem, context)`.

    Args:
        stride: input pixels per cell of what it gives.
    """

    noun = "stem type"

    stride: int = 2


@dataclass(frozen=True, kw_only=True)
class BlockSpec(VariedSpec):
    """A type of block: options are chosen by stage, the fields of `nas.space.Block` by block.

    Args:
        fixed: what its blocks have no choice of, and the one value that every arch has in its place, so that
            equal networks are equal archs.
        varied: the fields of a block that have a default, which other types fix at it.
        stage: "package.module:Class" of what makes a stage of such blocks: `Class(block, in_width, choices)`,
            called as `module(x, stage, context)`.
    """

    noun = "block type"

    fixed: Mapping[str, int] = field(default_factory=dict)
    varied: tuple[str, ...] = ()
    stage: str = "nas.models.blocks.sequence:BlockSequence"

    def load_stage(self) -> Any:
        """The torch class of a stage (imports torch)."""
        return load(self.stage)


@dataclass(frozen=True, kw_only=True)
class UpsamplerSpec(PartSpec):
    """A type of up-sampler, built as `Class(refined, raw, width)` and called as
    `module(refined, raw, width, context)`."""

    noun = "up-sampler"


def last_stage(total: int, widths: int, coarser: int) -> tuple[int, ...]:
    """The last stage's map alone."""
    return (total,)


def above_the_last_stage(total: int, widths: int, coarser: int) -> tuple[int, ...]:
    """Maps that are finer than the last stage's, one per width."""
    return tuple(total // 2**level for level in range(min(widths, 1), widths + 1))


def one_per_width(total: int, widths: int, coarser: int) -> tuple[int, ...]:
    """One map per width, the first `coarser` of them coarser than the last stage's."""
    return tuple(total * 2**coarser // 2**level for level in range(widths))


@dataclass(frozen=True, kw_only=True)
class NeckSpec(VariedSpec):
    """A type of neck, built as `Class(features, choices)` from channels and stride of stem and stages (finest
    first) and called as `module(features, neck, context)`; its `levels` say what it hands to the heads.

    Args:
        strides: of total stride, number of widths and number of coarser levels, the strides (px) of the maps
            that it gives, coarsest first.
        fields: which of a neck's own fields it has, and what a search space that leaves one out means; None
            where it must be given.
        pyramid: whether it has levels coarser than the last stage on demand.
        takes_widths: whether it has levels that are given widths.
        like: a neck in whose place it may stand: heads that take that one take this one as well.
    """

    noun = "neck"

    strides: Callable[[int, int, int], tuple[int, ...]]
    fields: Mapping[str, str | None] = field(default_factory=dict)
    pyramid: bool = False
    takes_widths: bool = True
    like: str = ""

    def shape_fault(self, *, widths: int, coarser: int, total_stride: int) -> str | None:
        """Why a neck of so many widths does not fit a total stride, led by the field; None where it does."""
        if not self.takes_widths:
            return None if widths == 0 else f"widths: the neck {self.name!r} takes no widths"
        if widths == 0:
            return f"widths: the neck {self.name!r} needs at least one width"
        if coarser and not self.pyramid:
            return f"coarser: the neck {self.name!r} has no levels coarser than the last stage"
        if coarser >= widths:
            return f"coarser: {coarser} of {widths} levels leave none for the stages"
        if self.strides(total_stride, widths, coarser)[-1] < 2:
            return f"widths: {widths} levels do not fit a total stride of {total_stride}"
        return None

    def field_fault(self, given: Mapping[str, Any]) -> str | None:
        """Which field a neck lacks or does not know, as `field: what is wrong`; None where they are right."""
        present = [name for name, value in given.items() if value not in (None, ())]
        for name in present:
            if name not in self.fields:
                return f"{name}: not known here, the neck {self.name!r} has none"
        missing = [name for name in self.fields if name not in present]
        return f"{missing[0]}: is missing" if missing else None


@dataclass(frozen=True, kw_only=True)
class HeadSpec(VariedSpec):
    """A type of head, built as `Class(place)`: see `nas.heads.PoseHead`.

    Args:
        task: "image" finds many people in a whole image, "crop" one person in a crop.
        codec: "package.module:Class" of the numpy codec.
        necks: the neck types whose features the head can take.
        strides: the strides (px) of the finest feature maps that the head needs, coarsest first; empty where
            it takes any.
    """

    noun = "head"

    task: Task
    codec: str
    necks: tuple[str, ...]
    strides: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if "neck" in self.options:
            raise ValueError("no option may be called 'neck': search spaces use the name for the head's neck")

    def takes(self, neck: NeckSpec) -> bool:
        """Whether the head can take a neck's features."""
        return neck.name in self.necks or neck.like in self.necks

    def neck_fault(self, neck: NeckSpec, strides: tuple[int, ...]) -> str | None:
        """Why the head cannot stand on a neck of maps of these strides, coarsest first; None where it can."""
        if not self.takes(neck):
            return f"head {self.name!r} takes {' or '.join(self.necks)}, not {neck.name!r}"
        if self.strides and strides[-len(self.strides) :] != self.strides:
            needed, found = (", ".join(map(str, values)) for values in (self.strides, strides))
            ends = f"{neck.name!r} ends in {found}"
            return f"head {self.name!r} needs maps of stride {needed} at the end, {ends}"
        return None

    def load_codec(self) -> Any:
        """The numpy codec class."""
        return load(self.codec)


def load(reference: str) -> Any:
    """What "package.module:Name" names."""
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)
