"""A space of feature pyramids, and a head that reads every level of them."""

from typing import Any

from nas.heads import HeadPlace, Outputs, PoseHead
from nas.heads.base import SeparableOutput
from nas.layers import Context
from nas.space import SearchSpace, SpaceSpec
from nas.space.parts import register
from nas.space.specs import HeadSpec


class EveryLevelHead(PoseHead):
    """One map per joint at every level."""

    def __init__(self, place: HeadPlace) -> None:
        super().__init__(place)
        self.strides = tuple(level.stride for level in place.levels)
        for level in place.levels:
            setattr(self, f"output_{level.stride}", SeparableOutput(level, self.keypoints, std=0.1))

    def forward(self, levels: Any, head: Any, context: Context) -> Outputs:
        return {
            f"maps_{stride}": getattr(self, f"output_{stride}")(level, context)
            for stride, level in zip(self.strides, levels, strict=True)
        }

    def decode(self, outputs: Outputs, head: Any) -> Outputs:
        return {name: maps.flatten(2) for name, maps in outputs.items()}


EVERY_LEVEL = register(
    HeadSpec(
        name="test_every_level",
        task="crop",
        module="pyramids:EveryLevelHead",
        codec="nas.codecs.heatmap:HeatmapCodec",
        necks=("fpn", "pan"),
    )
)

DATA: dict[str, Any] = {
    "name": "pyramids",
    "task": "crop",
    "resolution": [[64, 64], [128, 64]],
    "stem": {"width": [8, 16], "activation": "relu"},
    "stages": [
        {
            "type": "mbconv",
            "activation": "relu",
            "stride": stride,
            "width": [width, width + 8],
            "depth": [1, 2],
            "kernel": 3,
            "expansion": [2, 3],
        }
        for stride, width in ((2, 8), (2, 16), (2, 24), (1, 32))
    ],
    "necks": {
        "fpn": {
            "upsampler": ["nearest", "bilinear", "deconv2x2", "deconv4x4", "nearest_dw"],
            "convolution": ["separable", "dense"],
            "widths": [[16, 40], [16, 24], [8, 16]],
        },
        "pan": {
            "upsampler": ["nearest", "nearest_dw"],
            "convolution": ["separable", "dense"],
            "widths": [[16, 40], 24, [16, 32], [8, 16]],
            "coarser": 1,
        },
    },
    "heads": {"test_every_level": {}, "heatmap": {}},
}


def pyramids() -> SearchSpace:
    """Pyramids on a body of total stride 16: fpn of strides 16, 8, 4, pan of 32, 16, 8, 4."""
    return SearchSpace(SpaceSpec.read(DATA, "pyramids"))
