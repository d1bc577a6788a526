"""LitePose's own JSON format of architectures, both ways.

The keys are those of the files that LitePose released (Wang et al., "Lite Pose", CVPR 2022): `img_size`,
`input_channel`, `deconv_setting`, `backbone_setting`. What they leave unsaid is fixed in LitePose's network.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from nas.errors import UserError
from nas.space.arch import Arch, Block, Head, Neck, Stage, Stem, freeze_options
from nas.space.arch_json import arch_from_json
from nas.space.fields import AsTuple, Count, Expansion, Kernel, Side, StrictModel, Stride, Width
from nas.space.heads import complete_options

_ACTIVATION = "relu6"
_STEM_TYPE = "separable"
_BLOCK_TYPE = "mbconv"
_NECK_TYPE = "fusion_deconv"
_UPSAMPLER = "deconv4x4"
_HEAD = Head("associative_embedding", freeze_options(complete_options("associative_embedding", {})))


class _LitePoseStage(StrictModel):
    num_blocks: Count
    stride: Stride
    channel: Width
    block_setting: Annotated[tuple[Annotated[tuple[Expansion, Kernel], AsTuple], ...], AsTuple]

    @model_validator(mode="after")
    def _counted(self) -> "_LitePoseStage":
        if self.num_blocks != len(self.block_setting):
            raise ValueError(
                f"num_blocks is {self.num_blocks}, but block_setting has {len(self.block_setting)} entries"
            )
        return self


class _LitePose(StrictModel):
    img_size: Side
    input_channel: Width
    deconv_setting: Annotated[tuple[Width, ...], AsTuple]
    backbone_setting: Annotated[tuple[_LitePoseStage, ...], AsTuple, Field(min_length=1)]


def is_litepose(data: Any) -> bool:
    """Whether plain data look like LitePose's format."""
    return isinstance(data, Mapping) and "backbone_setting" in data


def arch_from_litepose(data: Mapping[str, Any], *, source: str = "LitePose arch") -> Arch:
    """The arch of LitePose's plain data. Raises UserError `source: field: what is wrong`."""
    read = _LitePose.read(data, source)
    arch = Arch(
        resolution=(read.img_size, read.img_size),
        stem=Stem(type=_STEM_TYPE, width=read.input_channel, activation=_ACTIVATION),
        stages=tuple(
            Stage(
                type=_BLOCK_TYPE,
                activation=_ACTIVATION,
                stride=stage.stride,
                width=stage.channel,
                blocks=tuple(Block(kernel, expansion) for expansion, kernel in stage.block_setting),
            )
            for stage in read.backbone_setting
        ),
        neck=Neck(type=_NECK_TYPE, upsampler=_UPSAMPLER, widths=read.deconv_setting),
        head=_HEAD,
    )
    return arch_from_json(arch.to_json(), source=source)


def arch_to_litepose(arch: Arch) -> dict[str, Any]:
    """LitePose's plain data of an arch.

    Raises:
        UserError: the arch has something that LitePose's format cannot say; names the field.
    """
    for field, value, fixed in _fixed_fields(arch):
        if value != fixed:
            raise UserError(f"{field}: LitePose's format knows only {fixed!r}, this arch has {value!r}")
    return {
        "img_size": arch.resolution[0],
        "input_channel": arch.stem.width,
        "deconv_setting": list(arch.neck.widths),
        "backbone_setting": [
            {
                "num_blocks": stage.depth,
                "stride": stage.stride,
                "channel": stage.width,
                "block_setting": [[block.expansion, block.kernel] for block in stage.blocks],
            }
            for stage in arch.stages
        ],
    }


def _fixed_fields(arch: Arch) -> list[tuple[str, object, object]]:
    """Field, the arch's value, and the one value that LitePose's format implies."""
    height, width = arch.resolution
    fixed: list[tuple[str, object, object]] = [
        ("resolution", (height, width), (height, height)),
        ("stem.type", arch.stem.type, _STEM_TYPE),
        ("stem.activation", arch.stem.activation, _ACTIVATION),
        ("neck.type", arch.neck.type, _NECK_TYPE),
        ("neck.upsampler", arch.neck.upsampler, _UPSAMPLER),
        ("head.type", arch.head.type, _HEAD.type),
        ("head.options", dict(arch.head.options), dict(_HEAD.options)),
    ]
    for number, stage in enumerate(arch.stages):
        fixed += [
            (f"stages.{number}.type", stage.type, _BLOCK_TYPE),
            (f"stages.{number}.activation", stage.activation, _ACTIVATION),
            (f"stages.{number}.options", dict(stage.options), {}),
        ]
    return fixed
