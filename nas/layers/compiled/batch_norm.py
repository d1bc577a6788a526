"""Batch norm with its activation, in training.

It takes as long as memory takes: with ReLU behind, torch reads a map of values ten times on its way forward
and back and writes it four times; this reads six times and writes twice.
"""

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nas.layers.compiled.parts import PARTS, Array, channels_last, in_parts

BOUNDS = {None: (-inf, inf), "relu": (0.0, inf), "relu6": (0.0, 6.0)}
"""Activations that only cut values, and where."""

LEAST_VALUES = 1 << 18
"""Values of a map below which torch's batch norm is as fast."""

_SAMPLES = 64
"""Pixels whose mean is taken off before squares are summed, so that a large mean costs no digits."""


def norm_learns(x: Tensor, weight: Tensor) -> bool:
    """Whether this batch norm's gradient will be asked for, and `learning_norm` computes it."""
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype
        and x.dtype in (torch.float32, torch.float64)
        and torch.is_grad_enabled()
        and (x.requires_grad or weight.requires_grad)
        and x.dim() == 4
        and x.numel() >= LEAST_VALUES
    )


def learning_norm(
    x: Tensor, weight: Tensor, bias: Tensor, *, eps: float, activation: str | None = None
) -> Tensor:
    """Batch norm by the batch's own statistics, and an activation of `BOUNDS`.

    Args:
        x: [B, C, H, W], float32 or float64, best channels last.
        weight, bias: [C].

    Returns:
        [B, C, H, W], channels last.
    """
    output: Tensor = _LearningNorm.apply(x, weight, bias, BOUNDS[activation], eps)  # type: ignore[no-untyped-call]
    return output


class _LearningNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, bounds: tuple[float, float], eps: float
    ) -> Tensor:
        from nas.layers.compiled.norms import normalise, statistics

        values = channels_last(x)
        kind, pixels = values.dtype, values.reshape(-1, values.shape[-1])
        shift = pixels[:: -(-len(pixels) // _SAMPLES)].mean(axis=0, dtype=np.float64).astype(kind)
        one, two = _sums(statistics(kind.char), values, shift) / len(pixels)
        mean, deviation = shift + one, np.sqrt(two - one * one + eps)
        scale = weight.detach().numpy() / deviation
        offset = bias.detach().numpy() - mean * scale
        ctx.save_for_backward(x)
        ctx.mean, ctx.deviation = mean.astype(kind), deviation
        ctx.cut = scale.astype(kind), offset.astype(kind), np.array(bounds, kind)
        output = torch.empty_like(x, memory_format=torch.channels_last)
        _run(normalise(kind.char), values, channels_last(output).reshape(-1), *ctx.cut)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None, None]:
        from nas.layers.compiled.norms import backward, slopes

        (x,) = ctx.saved_tensors
        values, gradient = channels_last(x), channels_last(given).reshape(-1)
        kind, count = values.dtype, values.size // values.shape[-1]
        one, two = _sums(slopes(kind.char), values, gradient, *ctx.cut, ctx.mean)
        of_weight, of_bias = (torch.from_numpy(sums.astype(kind)) for sums in (two / ctx.deviation, one))
        output = None
        if ctx.needs_input_grad[0]:
            scale = ctx.cut[0]
            slope, constant = -two / (count * ctx.deviation**2) * scale, -one / count * scale
            output = torch.empty_like(x, memory_format=torch.channels_last)
            outputs = channels_last(output).reshape(-1)
            moments = ctx.mean, slope.astype(kind), constant.astype(kind)
            _run(backward(kind.char), values, gradient, outputs, *ctx.cut, *moments)
        return output, of_weight, of_bias, None, None


def _sums(loop: Callable[..., None], values: Array, *others: Array) -> Array:
    """Both sums [2, C] that a loop adds up, float64."""
    sums = np.zeros((PARTS, 2, values.shape[-1]))
    _run(loop, values, *others, sums.reshape(-1))
    total: Array = sums.sum(axis=0)
    return total


def _run(loop: Callable[..., None], values: Array, *others: Array) -> None:
    images, flat = len(values), values.reshape(-1)
    in_parts(
        lambda begin, end: loop(flat, *others, images, values.size // images, begin, end), work=values.size
    )
