"""RTMPose's head for person crops (Jiang et al. 2023): SimCC with attention between joints."""

import torch
from torch import Tensor

from nas.codecs.rtmcc import TEMPERATURE
from nas.heads.axes import AxisHead, bin_axes, grid_axes
from nas.heads.base import HeadPlace, Outputs
from nas.layers import Axis, Context, ElasticConv2d, GatedAttention, LevelFeatures, ResampledLinear, ScaleNorm
from nas.space.arch import Head as HeadArch

KERNEL = 7


class RTMCCHead(AxisHead):
    """A 7x7 convolution to a map per joint, each map a token, attention between them, one linear per axis.

    Outputs `x` [B, K, W * split] and `y` [B, K, H * split], both to be multiplied by the temperature before
    softmax. The layers that read the maps and that write the bins are tied to the grid; for other resolutions
    their weights are resampled. Of a neck's last level the refined features alone are read.
    """

    sharpness = TEMPERATURE

    def __init__(self, place: HeadPlace) -> None:
        super().__init__(place)
        level = place.finest
        self.stride = level.stride
        hidden = Axis.channels(int(hidden) for hidden in place.options["hidden"])
        bins_y, bins_x = bin_axes(place.resolutions, place.options["split"])
        self.maps = ElasticConv2d(level.channels, self.keypoints, KERNEL, padding=KERNEL // 2)
        self.norm = ScaleNorm()
        self.tokens = ResampledLinear(grid_axes(place.resolutions, self.stride), hidden, bias=False)
        self.attention = GatedAttention(hidden.largest)
        self.x = ResampledLinear([hidden], bins_x, bias=False)
        self.y = ResampledLinear([hidden], bins_y, bias=False)

    def forward(self, levels: tuple[LevelFeatures, ...], head: HeadArch, context: Context) -> Outputs:
        refined, _ = levels[-1]
        maps = self.maps(refined, self.keypoints, context)
        tokens = self.tokens(self.norm(maps, context), int(head.option("hidden")), context)
        tokens = self.attention(tokens, context)
        bins = int(head.option("split")) * self.stride
        return {
            "x": self.x(tokens, maps.shape[3] * bins, context),
            "y": self.y(tokens, maps.shape[2] * bins, context),
        }

    def label(self, target: Tensor) -> Tensor:
        """Soft labels: softmax of the target times the temperature."""
        return torch.softmax(self.sharpness * target, dim=2)
