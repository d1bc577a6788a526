"""Stems: the layers before the first stage, one class per type that an architecture can name."""

from torch import Tensor, nn

from nas.layers import Context, ConvNorm, ElasticBatchNorm2d, ElasticConv2d, ElasticDepthwiseConv2d
from nas.space.arch import Stem

STEM_CHANNELS = 32


class SeparableStem(nn.Module):
    """LitePose's stem: 3x3 convolution of stride 2, 3x3 depthwise, 1x1 to the stem's width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = ElasticConv2d(3, STEM_CHANNELS, 3, stride=2, padding=1, bias=False)
        self.conv_norm = ElasticBatchNorm2d(STEM_CHANNELS)
        self.depthwise = ElasticDepthwiseConv2d(STEM_CHANNELS, (3,))
        self.depthwise_norm = ElasticBatchNorm2d(STEM_CHANNELS)
        self.project = ElasticConv2d(STEM_CHANNELS, width, 1, bias=False)
        self.project_norm = ElasticBatchNorm2d(width)

    def forward(self, x: Tensor, stem: Stem, context: Context) -> Tensor:
        """[B, 3, H, W] -> [B, stem.width, H / 2, W / 2]."""
        x = self.conv_norm.activated(self.conv(x, STEM_CHANNELS, context), context, stem.activation)
        x = self.depthwise_norm.activated(self.depthwise(x, 3, context), context, stem.activation)
        out: Tensor = self.project_norm(self.project(x, stem.width, context), context)
        return out


class TripleStem(nn.Module):
    """RTMPose's stem: three 3x3 convolutions, the first of stride 2, the first two of half the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            [
                ConvNorm(3, width // 2, 3, stride=2),
                ConvNorm(width // 2, width // 2, 3),
                ConvNorm(width // 2, width, 3),
            ]
        )

    def forward(self, x: Tensor, stem: Stem, context: Context) -> Tensor:
        """[B, 3, H, W] -> [B, stem.width, H / 2, W / 2]."""
        half = stem.width // 2
        for conv, width in zip(self.convs, (half, half, stem.width), strict=True):
            x = conv(x, width, stem.activation, context)
        return x


class ConvStem(nn.Module):
    """One 3x3 convolution of stride 2; it stands for the 6x6 one and the `focus` layer of the YOLO family."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = ConvNorm(3, width, 3, stride=2)

    def forward(self, x: Tensor, stem: Stem, context: Context) -> Tensor:
        """[B, 3, H, W] -> [B, stem.width, H / 2, W / 2]."""
        out: Tensor = self.conv(x, stem.width, stem.activation, context)
        return out
