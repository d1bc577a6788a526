"""Convolution, batch norm and activation: what most networks are made of."""

from torch import Tensor, nn

from nas.layers.context import Context
from nas.layers.conv import ElasticConv2d
from nas.layers.elastic import Segments
from nas.layers.norm import ElasticBatchNorm2d


class ConvNorm(nn.Module):
    """A dense convolution without bias, batch norm, activation.

    Args:
        in_width, out_width: the largest widths.
        kernel: size of the window (px, odd); the input is padded to keep its size.
        stride: stride in both directions.
    """

    def __init__(self, in_width: int, out_width: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__()
        padding = kernel // 2
        self.conv = ElasticConv2d(in_width, out_width, kernel, stride=stride, padding=padding, bias=False)
        self.norm = ElasticBatchNorm2d(out_width)

    def forward(
        self, x: Tensor, width: int, activation: str, context: Context, *, segments: Segments | None = None
    ) -> Tensor:
        """[B, C, H, W] -> [B, width, H / stride, W / stride]; `segments` as `ElasticConv2d` has them."""
        return self.norm.activated(self.conv(x, width, context, segments=segments), context, activation)
