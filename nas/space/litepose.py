"""LitePose's own JSON format of architectures, both ways.

The keys are those of the files that LitePose released (Wang et al., "Lite Pose", CVPR 2022): `img_size`,
`input_channel`, `deconv_setting`, `backbone_setting`. What they leave unsaid is fixed in LitePose's network.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from nas.errors import UserError
from nas.space.fields import AsTuple, Count, Expansion, Kernel, Side, StrictModel, Stride, Width

_ACTIVATION = "relu6"
_STEM_TYPE = "separable"
_BLOCK_TYPE = "mbconv"
_NECK_TYPE = "fusion_deconv"
_UPSAMPLER = "deconv4x4"
_HEAD_TYPE = "associative_embedding"


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


def from_litepose(data: Mapping[str, Any], *, source: str) -> dict[str, Any]:
    """The same architecture in this project's format. Raises UserError `source: field: what is wrong`."""
    read = _LitePose.read(data, source)
    return {
        "version": 1,
        "resolution": [read.img_size, read.img_size],
        "stem": {"type": _STEM_TYPE, "width": read.input_channel, "activation": _ACTIVATION},
        "stages": [
            {
                "type": _BLOCK_TYPE,
                "activation": _ACTIVATION,
                "stride": stage.stride,
                "width": stage.channel,
                "blocks": [
                    {"kernel": kernel, "expansion": expansion} for expansion, kernel in stage.block_setting
                ],
            }
            for stage in read.backbone_setting
        ],
        "neck": {"type": _NECK_TYPE, "upsampler": _UPSAMPLER, "widths": read.deconv_setting},
        "head": {"type": _HEAD_TYPE},
    }


def to_litepose(data: Mapping[str, Any]) -> dict[str, Any]:
    """This project's plain data of an architecture in LitePose's format.

    Raises:
        UserError: it has something that LitePose's format cannot say; names the field.
    """
    for field, value, fixed in _fixed_fields(data):
        if value != fixed:
            raise UserError(f"{field}: LitePose's format knows only {fixed!r}, this arch has {value!r}")
    return {
        "img_size": data["resolution"][0],
        "input_channel": data["stem"]["width"],
        "deconv_setting": data["neck"]["widths"],
        "backbone_setting": [
            {
                "num_blocks": len(stage["blocks"]),
                "stride": stage["stride"],
                "channel": stage["width"],
                "block_setting": [[block["expansion"], block["kernel"]] for block in stage["blocks"]],
            }
            for stage in data["stages"]
        ],
    }


def _fixed_fields(data: Mapping[str, Any]) -> list[tuple[str, object, object]]:
    """Field, the arch's value, and the one value that LitePose's format implies."""
    height, width = data["resolution"]
    fixed: list[tuple[str, object, object]] = [
        ("resolution", (height, width), (height, height)),
        ("stem.type", data["stem"]["type"], _STEM_TYPE),
        ("stem.activation", data["stem"]["activation"], _ACTIVATION),
        ("neck.type", data["neck"]["type"], _NECK_TYPE),
        ("neck.upsampler", data["neck"]["upsampler"], _UPSAMPLER),
        ("head.type", data["head"]["type"], _HEAD_TYPE),
        # What is at its default is not written.
        ("head.options", data["head"]["options"], {}),
    ]
    for number, stage in enumerate(data["stages"]):
        fixed += [
            (f"stages.{number}.type", stage["type"], _BLOCK_TYPE),
            (f"stages.{number}.activation", stage["activation"], _ACTIVATION),
            (f"stages.{number}.options", stage["options"], {}),
        ]
    return fixed
