"""Depthwise convolutions that learn by the compiled weight gradient."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from nas.layers.weight_gradient import weight_gradient

LEAST_KERNEL = 5
"""Below, torch's own gradient is as fast."""


def learns(x: Tensor, weight: Tensor) -> bool:
    """Whether this weight's gradient will be asked for, and `learning_convolution` is faster at it."""
    return (
        weight.shape[2] >= LEAST_KERNEL
        and weight.requires_grad
        and torch.is_grad_enabled()
        and x.device.type == "cpu"
    )


def learning_convolution(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """A depthwise convolution as torch computes it, whose weight's gradient comes from `weight_gradient`.

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


class _LearningConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, None, stride, weight.shape[2] // 2, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        channels, _, kernel, _ = weight.shape
        of_input = of_weight = None
        if ctx.needs_input_grad[0]:
            of_input = torch.ops.aten.convolution_backward(
                gradient, x, weight, None, [ctx.stride] * 2, [kernel // 2] * 2, [1, 1],
                False, [0, 0], channels, [True, False, False],
            )[0]  # fmt: skip
        if ctx.needs_input_grad[1]:
            half = x.dtype in (torch.bfloat16, torch.float16)
            inputs, outputs = (x.float(), gradient.float()) if half else (x, gradient)
            of_weight = weight_gradient(inputs, outputs, kernel=kernel, stride=ctx.stride).to(weight.dtype)
        return of_input, of_weight, None
