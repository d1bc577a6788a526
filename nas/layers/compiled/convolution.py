"""Depthwise convolutions that learn by loops of our own.

Where the kernel is larger than 3, oneDNN takes four to seven times as long for the weight's gradient as for
the forward pass, and for that nearly twice as long as our loop (`benchmarks/depthwise.py`).
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from nas.layers.compiled.parts import PARTS, channels_last, threads_for

LEAST_KERNEL = 5
"""Below, torch's own gradient is as fast."""


def convolution_learns(x: Tensor, weight: Tensor) -> bool:
    """Whether this weight's gradient will be asked for, and `learning_convolution` is faster at it."""
    return (
        weight.shape[2] >= LEAST_KERNEL
        and weight.requires_grad
        and torch.is_grad_enabled()
        and x.device.type == "cpu"
    )


def learning_convolution(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """A depthwise convolution whose weight's gradient comes from `weight_gradient`.

    Args:
        x: [B, C, H, W].
        weight: [C, 1, K, K]; the padding is K // 2.
        stride: in both directions.

    Returns:
        [B, C, H', W'], of autocast's type where that is on; its gradient is summed in float32 even so.
    """
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        x, weight = x.to(dtype), weight.to(dtype)
    with torch.autocast("cpu", enabled=False):
        output: Tensor = _LearningConvolution.apply(x, weight, stride)  # type: ignore[no-untyped-call]
        return output


def convolution(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """A depthwise convolution, without a gradient; of half precision torch's own.

    Args:
        x: [B, C, H, W].
        weight: [C, 1, K, K]; the padding is K // 2.
        stride: in both directions.

    Returns:
        [B, C, H', W'], channels last.
    """
    channels, _, kernel, _ = weight.shape
    if x.dtype not in (torch.float32, torch.float64):
        return F.conv2d(x, weight, None, stride, kernel // 2, groups=channels)
    from nas.layers.compiled.depthwise import windows

    size = [(side - 1) // stride + 1 for side in x.shape[2:]]
    output = torch.empty(len(x), channels, *size, dtype=x.dtype, memory_format=torch.channels_last)
    values, outputs = channels_last(x), channels_last(output)
    arrays = values.reshape(-1), outputs.reshape(-1), weight.detach().contiguous().numpy().reshape(-1)
    loop, shapes = windows(kernel, stride, values.dtype.char), (values.shape, outputs.shape)
    loop(*arrays, *shapes, threads=threads_for(outputs.size * kernel))
    return output


def weight_gradient(images: Tensor, gradient: Tensor, *, kernel: int, stride: int) -> Tensor:
    """The gradient of a depthwise convolution's weight.

    Args:
        images: [B, C, H, W], what was convolved with padding `kernel // 2`.
        gradient: [B, C, H', W'], of the convolution's output; same type, float32 or float64.
        kernel: its side (px), odd.
        stride: in both directions.

    Returns:
        [C, 1, kernel, kernel].
    """
    from nas.layers.compiled.depthwise import taps

    inputs, outputs = channels_last(images), channels_last(gradient)
    channels, loop = inputs.shape[-1], taps(kernel, stride, inputs.dtype.char)
    sums = np.zeros((PARTS, channels, kernel * kernel), inputs.dtype)
    arrays = inputs.reshape(-1), outputs.reshape(-1), sums.reshape(-1)
    shapes = inputs.shape, outputs.shape
    loop(*arrays, *shapes, threads=threads_for(outputs.size * kernel))
    return torch.from_numpy(sums.sum(axis=0)).view(channels, 1, kernel, kernel)


class _LearningConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return convolution(x, weight, stride)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        dtype, (channels, _, kernel, _) = x.dtype, weight.shape
        of_input = of_weight = None
        if ctx.needs_input_grad[0] and ctx.stride == 1:
            of_input = convolution(gradient, weight.flip(2, 3), 1)
        if dtype in (torch.bfloat16, torch.float16):
            # Of half precision oneDNN takes many times as long for the rest.
            x, gradient, weight = x.float(), gradient.float(), weight.float()
        if ctx.needs_input_grad[0] and ctx.stride != 1:
            of_input = torch.ops.aten.convolution_backward(
                gradient, x, weight, None, [ctx.stride] * 2, [kernel // 2] * 2, [1, 1],
                False, [0, 0], channels, [True, False, False],
            )[0].to(dtype)  # fmt: skip
        if ctx.needs_input_grad[1]:
            of_weight = weight_gradient(x, gradient, kernel=kernel, stride=ctx.stride).to(dtype)
        return of_input, of_weight, None
