"""LitePose's own JSON format of architectures, both ways.

The keys are those of the files that LitePose released (Wang et al., "Lite Pose", CVPR 2022): `img_size`,
`input_channel`, `deconv_setting`, `backbone_setting`. What they leave unsaid is fixed in LitePose's network.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from nas.errors import UserError
from nas.space.fields import AsTuple, Count, Expansion, Kernel, Side, StrictModel, Stride, Width


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
        "stem": {"type": "separable", "width": read.input_channel, "activation": "relu6"},
        "stages": [
            {
                "type": "mbconv",
                "activation": "relu6",
                "stride": stage.stride,
                "width": stage.channel,
                "options": {},
                "blocks": [
                    {"kernel": kernel, "expansion": expansion} for expansion, kernel in stage.block_setting
                ],
            }
            for stage in read.backbone_setting
        ],
        "neck": {"type": "fusion_deconv", "upsampler": "deconv4x4", "widths": list(read.deconv_setting)},
        "head": {"type": "associative_embedding", "options": {}},
    }


def to_litepose(data: Mapping[str, Any]) -> dict[str, Any]:
    """This project's plain data of an architecture in LitePose's format.

    Raises:
        UserError: it has something that LitePose's format cannot say; names the field.
    """
    litepose = {
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
    for field, value, known in _differences(data, from_litepose(litepose, source="arch")):
        raise UserError(f"{field}: LitePose's format knows only {known!r}, this arch has {value!r}")
    return litepose


def _differences(found: Any, known: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where plain data differ from others: the field and both values."""
    if isinstance(found, dict) and known:
        for name, value in found.items():
            yield from _differences(value, known.get(name), f"{place}{name}.")
    elif isinstance(found, list) and isinstance(found[0], dict):
        for number, (value, other) in enumerate(zip(found, known, strict=True)):
            yield from _differences(value, other, f"{place}{number}.")
    elif found != known:
        yield place[:-1], found, known
