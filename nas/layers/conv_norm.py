"""Convolution, batch norm and activation: what most networks are made of."""

from collections.abc import Sequence

from torch import Tensor, nn

from nas.layers.context import Context
from nas.layers.conv import ElasticConv2d, ElasticDepthwiseConv2d
from nas.layers.elastic import Segments
from nas.layers.norm import ElasticBatchNorm2d


class SeparableConvNorm(nn.Module):
    """A depthwise convolution and a 1x1 convolution, with batch norms; activated behind the latter alone.

    Args:
        in_width, out_width: the largest widths.
        kernels: windows (px, odd) of the depthwise convolution to choose from.
        stride: of the depthwise convolution, in both directions.
    """

    def __init__(self, in_width: int, out_width: int, kernels: Sequence[int], *, stride: int = 1) -> None:
        super().__init__()
        self.largest_kernel = max(kernels)
        self.depthwise = ElasticDepthwiseConv2d(in_width, kernels, stride=stride)
        self.depthwise_norm = ElasticBatchNorm2d(in_width)
        self.project = ElasticConv2d(in_width, out_width, 1, bias=False)
        self.project_norm = ElasticBatchNorm2d(out_width)

    def forward(
        self, x: Tensor, width: int, activation: str, context: Context, *, kernel: int | None = None
    ) -> Tensor:
        """[B, C, H, W] -> [B, width, H / stride, W / stride]; by default with the largest kernel."""
        x = self.depthwise_norm(self.depthwise(x, kernel or self.largest_kernel, context), context)
        return self.project_norm.activated(self.project(x, width, context), context, activation)


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
