"""The versioned JSON format of architectures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from nas.documents import read_json, shown
from nas.errors import UserError
from nas.shipped import locate
from nas.space.arch import Arch, Block, Head, Neck, OptionValue, Stage, Stem, freeze_options
from nas.space.fields import (
    Activation,
    AsTuple,
    BlockType,
    Coarser,
    Convolution,
    Expansion,
    Kernel,
    NeckType,
    Option,
    Side,
    StemType,
    StrictModel,
    Stride,
    Upsampler,
    Width,
    fixed_fault,
    options_fault,
    resolution_fault,
)
from nas.space.heads import complete_options, head_spec, written_options
from nas.space.necks import NECK_KINDS, field_fault, neck_fault, neck_strides
from nas.space.strides import total_stride

FORMAT_VERSION = 1


class _Block(StrictModel):
    kernel: Kernel
    expansion: Expansion


class _Stem(StrictModel):
    type: StemType
    width: Width
    activation: Activation


class _Stage(StrictModel):
    type: BlockType
    activation: Activation
    stride: Stride
    width: Width
    options: dict[str, Option] = Field(default_factory=dict)
    blocks: Annotated[tuple[_Block, ...], AsTuple, Field(min_length=1)]

    @model_validator(mode="after")
    def _complete(self) -> "_Stage":
        if fault := options_fault((self.type,), {name: (value,) for name, value in self.options.items()}):
            raise ValueError(fault)
        for number, block in enumerate(self.blocks):
            if fault := fixed_fault(self.type, block.model_dump()):
                raise ValueError(f"blocks.{number}.{fault}")
        return self


class _Neck(StrictModel):
    type: NeckType
    upsampler: Upsampler | None = None
    widths: Annotated[tuple[Width, ...], AsTuple] = ()
    convolution: Convolution | None = None
    coarser: Coarser = 0

    @model_validator(mode="after")
    def _fits_type(self) -> "_Neck":
        given = [name for name in ("upsampler", "convolution") if getattr(self, name) is not None]
        if fault := field_fault(self.type, given):
            raise ValueError(fault)
        return self


class _Head(StrictModel):
    type: str
    options: dict[str, Option] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _registered(self) -> "_Head":
        try:
            complete_options(self.type, self.options)
        except UserError as error:
            raise ValueError(str(error)) from None
        return self


class _Arch(StrictModel):
    version: int
    resolution: Annotated[tuple[Side, Side], AsTuple]
    stem: _Stem
    stages: Annotated[tuple[_Stage, ...], AsTuple, Field(min_length=1)]
    neck: _Neck
    head: _Head
    info: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits_together(self) -> "_Arch":
        stride = total_stride(self.stem.type, [stage.stride for stage in self.stages])
        neck = self.neck
        shape = {"widths": len(neck.widths), "coarser": neck.coarser, "total_stride": stride}
        if fault := neck_fault(neck.type, **shape):
            raise ValueError(f"neck.{fault}")
        if fault := resolution_fault(self.resolution, stride * 2**neck.coarser):
            raise ValueError(f"resolution: {fault}")
        if fault := head_spec(self.head.type).neck_fault(neck.type, neck_strides(neck.type, **shape)):
            raise ValueError(f"neck: {fault}")
        return self


def arch_to_json(arch: Arch) -> dict[str, Any]:
    """Plain data of the current format version."""
    return {
        "version": FORMAT_VERSION,
        "resolution": list(arch.resolution),
        "stem": {"type": arch.stem.type, "width": arch.stem.width, "activation": arch.stem.activation},
        "stages": [_stage_to_json(stage) for stage in arch.stages],
        "neck": _neck_to_json(arch.neck),
        "head": {
            "type": arch.head.type,
            "options": written_options(arch.head.type, dict(arch.head.options)),
        },
    }


def arch_from_json(data: Mapping[str, Any], *, source: str = "arch") -> Arch:
    """The arch of plain data. Head options that are left out take their defaults.

    Raises:
        UserError: `source: field: what is wrong`.
    """
    if isinstance(data, Mapping) and data.get("version", FORMAT_VERSION) != FORMAT_VERSION:
        raise UserError(
            f"{source}: version: this package reads version {FORMAT_VERSION}, got {shown(data['version'])}"
        )
    checked = _Arch.read(data, source)
    return Arch(
        resolution=checked.resolution,
        stem=Stem(type=checked.stem.type, width=checked.stem.width, activation=checked.stem.activation),
        stages=tuple(_stage(stage) for stage in checked.stages),
        neck=Neck(**dict(checked.neck)),
        head=Head(
            checked.head.type, freeze_options(complete_options(checked.head.type, checked.head.options))
        ),
    )


def load_arch(name_or_path: str | Path) -> Arch:
    """Read an arch file of either format. Raises UserError naming file and field."""
    path = locate("subnets", name_or_path, ".json")
    return Arch.from_json(read_json(path), source=str(path))


def _neck_to_json(neck: Neck) -> dict[str, Any]:
    data: dict[str, Any] = {"type": neck.type, "upsampler": neck.upsampler, "widths": list(neck.widths)}
    # Other necks have never had these fields: what they are called by (their id) must not change.
    if NECK_KINDS[neck.type].pyramid:
        data |= {"convolution": neck.convolution, "coarser": neck.coarser}
    return data


def _stage_to_json(stage: Stage) -> dict[str, Any]:
    options: dict[str, OptionValue] = dict(stage.options)
    return {
        "type": stage.type,
        "activation": stage.activation,
        "stride": stage.stride,
        "width": stage.width,
        "options": options,
        "blocks": [block.to_json() for block in stage.blocks],
    }


def _stage(stage: _Stage) -> Stage:
    return Stage(
        type=stage.type,
        activation=stage.activation,
        stride=stage.stride,
        width=stage.width,
        blocks=tuple(Block(block.kernel, block.expansion) for block in stage.blocks),
        options=freeze_options(stage.options),
    )
