"""Architectures as immutable values, and the versioned JSON format that they are read from and written to."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from math import prod
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter

from nas.digests import json_digest
from nas.documents import read_json, shown
from nas.files import write_text
from nas.shipped import locate
from nas.space.fields import (
    Activation,
    AsTuple,
    BlockType,
    Coarser,
    Convolution,
    Expansion,
    Kernel,
    NeckType,
    Side,
    StemType,
    Stride,
    Upsampler,
    Width,
    check_keys,
    keys_of,
    mapped,
    resolution_fault,
    validated,
)
from nas.space.litepose import from_litepose, is_litepose, to_litepose
from nas.space.options import HasOptions, Options, read_as
from nas.space.parts import part
from nas.space.specs import BlockSpec, HeadSpec, NeckSpec, StemSpec, VariedSpec

FORMAT_VERSION = 1

_INNERMOST = re.compile(r"[\[{][^\[\]{}]*[\]}]")


@dataclass(frozen=True)
class Block:
    """One block of a stage: kernel (px) and expansion ratio.

    What its type has no choice of is what its `BlockSpec.fixed` says, so that equal networks are equal archs.
    """

    kernel: Kernel
    expansion: Expansion

    def to_json(self) -> dict[str, int]:
        """Plain data. Fields with a default came later: at it they are left out, and older ids stay."""
        required = keys_of(Block)
        return {
            name: value
            for name, value in vars(self).items()
            if required[name] or value != getattr(Block, name)
        }


@cache
def fixed_fields(block_type: str) -> Mapping[str, int]:
    """What blocks of a type have no choice of, and what they have in its place."""
    spec = part(BlockSpec, block_type)
    later = [name for name, required in keys_of(Block).items() if not required and name not in spec.varied]
    return {**{name: getattr(Block, name) for name in later}, **spec.fixed}


@dataclass(frozen=True)
class Stem:
    """The layers before the first stage; `width` is their output channels."""

    width: Width
    activation: Activation
    type: StemType = "separable"

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"type": self.type, "width": self.width, "activation": self.activation}


@dataclass(frozen=True)
class Stage(HasOptions):
    """Blocks of one width in a row; the first block carries the stride, depth is `len(blocks)`."""

    kind: ClassVar[type[VariedSpec]] = BlockSpec

    type: BlockType
    activation: Activation
    stride: Stride
    width: Width
    blocks: Annotated[tuple[Annotated[Block, mapped(Block)], ...], AsTuple, Field(min_length=1)]
    options: Options = ()

    @property
    def depth(self) -> int:
        return len(self.blocks)

    def fault(self) -> str | None:
        for number, block in enumerate(self.blocks):
            for name, value in fixed_fields(self.type).items():
                if (own := getattr(block, name)) != value:
                    types = f"blocks of type {self.type!r} have {value} and no other"
                    return f"blocks.{number}.{name}: {types}, got {own}"
        return None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "type": self.type,
            "activation": self.activation,
            "stride": self.stride,
            "width": self.width,
            "options": {},
            **self.options_to_json(),
            "blocks": [block.to_json() for block in self.blocks],
        }


@dataclass(frozen=True)
class Neck(HasOptions):
    """What joins the stages' features.

    Args:
        type: its kind.
        upsampler: how maps are enlarged.
        widths: one per level, coarsest first. Those of "fusion_deconv" begin one up-sampling above the last
            stage, those of a pyramid ("fpn", "pan") at the last stage or `coarser` levels below.
        convolution: how a pyramid's 3x3 convolutions are made.
        coarser: how many levels of a pyramid are coarser than the last stage.
        options: whatever else its type lets one choose.
    """

    kind: ClassVar[type[VariedSpec]] = NeckSpec

    type: NeckType = "none"
    upsampler: Upsampler | None = None
    widths: Annotated[tuple[Width, ...], AsTuple] = ()
    convolution: Convolution | None = None
    coarser: Coarser = 0
    options: Options = ()

    def fault(self) -> str | None:
        given = {"upsampler": self.upsampler, "convolution": self.convolution}
        return part(NeckSpec, self.type).field_fault(given)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        data: dict[str, Any] = {"type": self.type, "upsampler": self.upsampler, "widths": list(self.widths)}
        # Other necks have never had these fields: what they are called by (their id) must not change.
        if part(NeckSpec, self.type).pyramid:
            data |= {"convolution": self.convolution, "coarser": self.coarser}
        return data | self.options_to_json()


@dataclass(frozen=True)
class Head(HasOptions):
    """The head's type and its options."""

    kind: ClassVar[type[VariedSpec]] = HeadSpec

    type: str
    options: Options = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"type": self.type, "options": {}, **self.options_to_json()}


@dataclass(frozen=True)
class Arch:
    """One pose network: equal by value, hashable, named by `id`."""

    resolution: Annotated[tuple[Side, Side], AsTuple]
    stem: Annotated[Stem, mapped(Stem)]
    stages: Annotated[tuple[Annotated[Stage, read_as(Stage)], ...], AsTuple, Field(min_length=1)]
    neck: Annotated[Neck, read_as(Neck)]
    head: Annotated[Head, read_as(Head)]

    @cached_property
    def id(self) -> str:
        """The first 12 hex digits of the SHA-256 of the canonical JSON."""
        return json_digest(self.to_json())

    @cached_property
    def _hash(self) -> int:
        return hash((self.resolution, self.stem, self.stages, self.neck, self.head))

    def __hash__(self) -> int:
        return self._hash

    @property
    def total_stride(self) -> int:
        """Input px per cell of the last stage, along each axis."""
        return part(StemSpec, self.stem.type).stride * prod(stage.stride for stage in self.stages)

    @property
    def level_strides(self) -> tuple[int, ...]:
        """Input px per cell of all maps that the neck gives to the head, coarsest first."""
        neck = self.neck
        return part(NeckSpec, neck.type).strides(self.total_stride, len(neck.widths), neck.coarser)

    def with_resolution(self, resolution: tuple[int, int]) -> Self:
        """The same layers at another input size (h, w)."""
        return replace(self, resolution=resolution)

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        # The cached hash must not travel: string hashes differ from process to process.
        return type(self), (self.resolution, self.stem, self.stages, self.neck, self.head)

    def to_json(self) -> dict[str, Any]:
        """Plain data of the versioned arch format; `from_json` gives an equal arch back."""
        return {
            "version": FORMAT_VERSION,
            "resolution": list(self.resolution),
            "stem": self.stem.to_json(),
            "stages": [stage.to_json() for stage in self.stages],
            "neck": self.neck.to_json(),
            "head": self.head.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], *, source: str = "arch") -> "Arch":
        """The arch of plain data, this project's or LitePose's. What has defaults may be left out.

        Raises:
            UserError: `source: field: what is wrong`.
        """
        if is_litepose(data):
            data = from_litepose(data, source=source)
        return validated(_reader().validate_python, data, source)

    def save(self, path: str | Path, *, info: Mapping[str, Any] | None = None) -> None:
        """Write the arch as JSON; `info` (how it was found, its figures) stands beside it, no part of it."""
        data = self.to_json() | ({"info": dict(info)} if info else {})
        # Innermost lists and mappings on one line each: a block reads as one thing.
        lines = json.dumps(data, indent=2, allow_nan=False)
        lines = _INNERMOST.sub(lambda match: re.sub(r"\n *", " ", match.group()), lines)
        write_text(path, lines + "\n")

    @classmethod
    def load(cls, name_or_path: str | Path) -> "Arch":
        """The arch of a JSON file, or of a subnet that ships with the package, by its name.

        Raises:
            UserError: no such file, not JSON, or not an arch; names file and field.
        """
        path = locate("subnets", name_or_path, ".json")
        return cls.from_json(read_json(path), source=str(path))


@cache
def _reader() -> TypeAdapter[Arch]:
    """What reads the plain data of an arch."""
    return TypeAdapter(Annotated[Arch, AfterValidator(_fits_together), BeforeValidator(_of_this_version)])


def _of_this_version(data: Any) -> Any:
    """The fields of an arch out of those of a file."""
    if isinstance(data, Mapping) and data.get("version", FORMAT_VERSION) != FORMAT_VERSION:
        raise ValueError(
            f"version: this package reads version {FORMAT_VERSION}, got {shown(data['version'])}"
        )
    known = {"version": True, **keys_of(Arch)}
    read = dict(check_keys(data, {**known, "info": False}))
    if not isinstance(read.pop("info", {}), Mapping):
        raise ValueError(f"info: expected a mapping, got {shown(data['info'])}")
    del read["version"]
    return read


def _fits_together(arch: Arch) -> Arch:
    neck, spec = arch.neck, part(NeckSpec, arch.neck.type)
    stride = arch.total_stride
    if fault := spec.shape_fault(widths=len(neck.widths), coarser=neck.coarser, total_stride=stride):
        raise ValueError(f"neck.{fault}")
    if fault := resolution_fault(arch.resolution, stride * 2**neck.coarser):
        raise ValueError(f"resolution: {fault}")
    if fault := part(HeadSpec, arch.head.type).neck_fault(spec, arch.level_strides):
        raise ValueError(f"neck: {fault}")
    return arch


def arch_to_litepose(arch: Arch) -> dict[str, Any]:
    """LitePose's plain data of an arch.

    Raises:
        UserError: the arch has something that LitePose's format cannot say; names the field.
    """
    return to_litepose(arch.to_json())
