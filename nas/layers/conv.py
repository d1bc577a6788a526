"""Elastic convolutions."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.layers.compiled import convolution_learns, learning_convolution
from nas.layers.context import Context
from nas.layers.elastic import ElasticLayer, Segments, first, joined


class ElasticConv2d(ElasticLayer, nn.Conv2d):
    """A dense convolution with elastic input and output channels.

    The active weight is the first `out_channels` filters over the channels that the input holds: the first
    ones, or the given segments where the input was joined from several sliced parts. The filters, too, may be
    segments, where the output stands beside such an input.
    """

    def forward(  # type: ignore[override]
        self, x: Tensor, out_channels: int | Segments, context: Context, *, segments: Segments | None = None
    ) -> Tensor:
        """[B, C, H, W] -> [B, out_channels (or those of the segments), H', W']."""
        # While torch.jit traces, a number of channels is a tensor.
        filters = out_channels if isinstance(out_channels, tuple) else ((0, out_channels),)
        weight = joined(self.weight, filters)
        weight = joined(weight, segments or ((0, x.shape[1]),), dim=1)
        bias = None if self.bias is None else joined(self.bias, filters)
        if context.capture is not None:
            context.capture(self.key, {"weight": weight, "bias": bias})
        return F.conv2d(x, weight, bias, self.stride, self.padding, self.dilation)


class ElasticConvTranspose2d(ElasticLayer, nn.ConvTranspose2d):
    """A transposed convolution with elastic input and output channels."""

    def forward(self, x: Tensor, out_channels: int, context: Context) -> Tensor:  # type: ignore[override]
        """[B, C, H, W] -> [B, out_channels, H', W']."""
        weight = first(first(self.weight, x.shape[1]), out_channels, dim=1)
        bias = None if self.bias is None else first(self.bias, out_channels)
        if context.capture is not None:
            context.capture(self.key, {"weight": weight, "bias": bias})
        return F.conv_transpose2d(x, weight, bias, self.stride, self.padding)  # type: ignore[arg-type]


class _ElasticKernel(ElasticLayer, nn.Conv2d):
    """A convolution with an elastic kernel.

    A smaller kernel is the centre of the next larger one, sent through a learned linear map (identity at
    first), which all channels share (Once-for-All, Cai et al. 2020). The maps run in fp32 and take no weight
    decay (their names start with `transform_`).
    """

    kernels: tuple[int, ...]

    def __init__(
        self, in_channels: int, out_channels: int, kernels: Sequence[int], *, stride: int, groups: int
    ) -> None:
        sizes = sorted(set(kernels), reverse=True)
        super().__init__(
            in_channels, out_channels, sizes[0], stride, sizes[0] // 2, groups=groups, bias=False
        )
        self.kernels = tuple(sizes)
        for size in sizes[1:]:
            self.register_parameter(f"transform_{size}", nn.Parameter(torch.eye(size * size)))

    def resized(self, weight: Tensor, kernel: int) -> Tensor:
        """A weight [O, I, largest, largest] as [O, I, kernel, kernel]. Raises ValueError for no choice."""
        if kernel not in self.kernels:
            raise ValueError(f"{self.key or 'convolution'}: kernel {kernel} is not in {self.kernels}")
        if kernel == self.kernels[0]:
            return weight
        filters, channels = weight.shape[:2]
        with torch.autocast(self.weight.device.type, enabled=False):
            for larger, smaller in pairwise(self.kernels):
                if smaller < kernel:
                    break
                margin = (larger - smaller) // 2
                centre = weight.narrow(2, margin, smaller).narrow(3, margin, smaller)
                rows = centre.reshape(filters * channels, smaller * smaller)
                weight = F.linear(rows, self._transform(smaller)).reshape(filters, channels, smaller, smaller)
        return weight

    def _transform(self, size: int) -> Tensor:
        transform: Tensor = getattr(self, f"transform_{size}")
        return transform


class ElasticDepthwiseConv2d(_ElasticKernel):
    """A depthwise convolution with elastic channels and kernel.

    Args:
        channels: the largest number of channels.
        kernels: the kernel sizes to choose from (px, odd).
        stride: stride in both directions.
    """

    def __init__(self, channels: int, kernels: Sequence[int], *, stride: int = 1) -> None:
        super().__init__(channels, channels, kernels, stride=stride, groups=channels)

    def forward(self, x: Tensor, kernel: int, context: Context) -> Tensor:  # type: ignore[override]
        """[B, C, H, W] -> [B, C, H', W'] with a `kernel` x `kernel` window."""
        channels = x.shape[1]
        weight = self.active_weight(channels, kernel)
        if context.capture is not None:
            context.capture(self.key, {"weight": weight})
        if self.compiled and convolution_learns(x, weight):
            return learning_convolution(x, weight, self.stride[0])
        return F.conv2d(x, weight, None, self.stride, kernel // 2, groups=channels)

    def active_weight(self, channels: int, kernel: int) -> Tensor:
        """The weight [channels, 1, kernel, kernel]. Raises ValueError for a kernel that is no choice."""
        return self.resized(first(self.weight, channels), kernel)


class ElasticKernelConv2d(_ElasticKernel):
    """A dense convolution with elastic input and output channels and kernel.

    Args:
        in_channels, out_channels: the largest widths.
        kernels: the kernel sizes to choose from (px, odd).
        stride: stride in both directions.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernels: Sequence[int], *, stride: int = 1
    ) -> None:
        super().__init__(in_channels, out_channels, kernels, stride=stride, groups=1)

    def forward(self, x: Tensor, out_channels: int, kernel: int, context: Context) -> Tensor:  # type: ignore[override]
        """[B, C, H, W] -> [B, out_channels, H', W'] with a `kernel` x `kernel` window."""
        weight = self.resized(first(first(self.weight, out_channels), x.shape[1], dim=1), kernel)
        if context.capture is not None:
            context.capture(self.key, {"weight": weight})
        return F.conv2d(x, weight, None, self.stride, kernel // 2)
