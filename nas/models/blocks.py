"""Stems and blocks, one class per type that an architecture can name."""

from collections.abc import Sequence

from torch import Tensor, nn

from nas.layers import ElasticBatchNorm2d, ElasticConv2d, ElasticDepthwiseConv2d, Run, activate
from nas.space.arch import Block, Stem

STEM_CHANNELS = 32


class SeparableStem(nn.Module):
    """LitePose's stem: 3x3 convolution of stride 2, 3x3 depthwise, 1x1 to the stem's width."""

    stride = 2

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = ElasticConv2d(3, STEM_CHANNELS, 3, stride=2, padding=1, bias=False)
        self.conv_norm = ElasticBatchNorm2d(STEM_CHANNELS)
        self.depthwise = ElasticDepthwiseConv2d(STEM_CHANNELS, (3,))
        self.depthwise_norm = ElasticBatchNorm2d(STEM_CHANNELS)
        self.project = ElasticConv2d(STEM_CHANNELS, width, 1, bias=False)
        self.project_norm = ElasticBatchNorm2d(width)

    def forward(self, x: Tensor, stem: Stem, run: Run) -> Tensor:
        """[B, 3, H, W] -> [B, stem.width, H / 2, W / 2]."""
        x = activate(self.conv_norm(self.conv(x, STEM_CHANNELS, run), run), stem.activation)
        x = activate(self.depthwise_norm(self.depthwise(x, 3, run), run), stem.activation)
        out: Tensor = self.project_norm(self.project(x, stem.width, run), run)
        return out


class MBConv(nn.Module):
    """Inverted residual (MobileNetV2): 1x1 to expansion times the input, depthwise, 1x1 to the width.

    Args:
        in_width, out_width: the largest widths.
        stride: of the depthwise convolution.
        kernels, expansions: the choices of this block.
        residual: whether the input is added; it depends on the block's position alone.
    """

    def __init__(
        self,
        in_width: int,
        out_width: int,
        *,
        stride: int,
        kernels: Sequence[int],
        expansions: Sequence[int],
        residual: bool,
    ) -> None:
        super().__init__()
        hidden = in_width * max(expansions)
        self.residual = residual
        self.expand = ElasticConv2d(in_width, hidden, 1, bias=False)
        self.expand_norm = ElasticBatchNorm2d(hidden)
        self.depthwise = ElasticDepthwiseConv2d(hidden, kernels, stride=stride)
        self.depthwise_norm = ElasticBatchNorm2d(hidden)
        self.project = ElasticConv2d(hidden, out_width, 1, bias=False)
        self.project_norm = ElasticBatchNorm2d(out_width)

    def forward(self, x: Tensor, width: int, block: Block, activation: str, run: Run) -> Tensor:
        """[B, C, H, W] -> [B, width, H / stride, W / stride]."""
        hidden = self.expand(x, x.shape[1] * block.expansion, run)
        hidden = activate(self.expand_norm(hidden, run), activation)
        hidden = self.depthwise(hidden, block.kernel, run)
        hidden = activate(self.depthwise_norm(hidden, run), activation)
        out: Tensor = self.project_norm(self.project(hidden, width, run), run)
        return x + out if self.residual else out


STEMS: dict[str, type[SeparableStem]] = {"separable": SeparableStem}
BLOCKS: dict[str, type[MBConv]] = {"mbconv": MBConv}
