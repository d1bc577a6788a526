"""Batch norm with its activation, where it learns, is calibrated or scored.

It takes as long as memory takes. With ReLU behind, torch reads a map of values ten times on its way forward
and back and writes it four times; this reads six times and writes twice. Where nothing is learned, torch
reads it four times (two more for the map's own statistics) and writes twice; this reads it once (once more)
and writes once.
"""

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nas.layers.compiled.parts import PARTS, Array, channels_last, threads_for

BOUNDS = {None: (-inf, inf), "relu": (0.0, inf), "relu6": (0.0, 6.0)}
"""Activations that only cut values, and where."""

LEAST_VALUES = 1 << 18
"""Values of a map below which torch's batch norm is as fast."""

_SAMPLES = 64
"""Pixels whose mean is taken off before squares are summed, so that a large mean costs no digits."""


def norm_learns(x: Tensor, weight: Tensor) -> bool:
    """Whether this batch norm's gradient will be asked for, and `learning_norm` computes it."""
    return _known(x, weight) and _learns(x, weight)


def norm_only_scales(x: Tensor, weight: Tensor) -> bool:
    """Whether nothing is learned here, and `batch_moments` and `scaling_norm` know this map."""
    return _known(x, weight) and not _learns(x, weight)


def _known(x: Tensor, weight: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype
        and x.dtype in (torch.float32, torch.float64)
        and x.dim() == 4
        and x.numel() >= LEAST_VALUES
    )


def _learns(x: Tensor, weight: Tensor) -> bool:
    return torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)


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


def batch_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance [C] of the channels of x [B, C, H, W], float64."""
    mean, variance = _moments(channels_last(x))
    return torch.from_numpy(mean), torch.from_numpy(variance)


def scaling_norm(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    moments: tuple[Tensor, Tensor],
    *,
    eps: float,
    activation: str | None = None,
) -> Tensor:
    """Batch norm by given moments (mean and biased variance [C]), and an activation of `BOUNDS`.

    Arguments else and result as of `learning_norm`; nothing is learned.
    """
    mean, variance = (moment.double().numpy() for moment in moments)
    scale = weight.detach().numpy() / np.sqrt(variance + eps)
    output, _ = _scaled(x, scale, bias.detach().numpy() - mean * scale, BOUNDS[activation])
    return output


class _LearningNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, bounds: tuple[float, float], eps: float
    ) -> Tensor:
        values = channels_last(x)
        mean, variance = _moments(values)
        deviation = np.sqrt(variance + eps)
        scale = weight.detach().numpy() / deviation
        output, ctx.cut = _scaled(x, scale, bias.detach().numpy() - mean * scale, bounds)
        ctx.save_for_backward(x)
        ctx.mean, ctx.deviation = mean.astype(values.dtype), deviation
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


def _moments(values: Array) -> tuple[Array, Array]:
    """Mean and biased variance [C] of values [B, H, W, C], float64."""
    from nas.layers.compiled.norms import statistics

    kind, pixels = values.dtype, values.reshape(-1, values.shape[-1])
    shift = pixels[:: -(-len(pixels) // _SAMPLES)].mean(axis=0, dtype=np.float64).astype(kind)
    one, two = _sums(statistics(kind.char), values, shift) / len(pixels)
    return shift + one, two - one * one


def _scaled(
    x: Tensor, scale: Array, offset: Array, bounds: tuple[float, float]
) -> tuple[Tensor, tuple[Array, Array, Array]]:
    """x [B, C, H, W] by scale and offset [C], cut to bounds; with it these three as the loops take them."""
    from nas.layers.compiled.norms import normalise

    values = channels_last(x)
    kind = values.dtype
    cut = scale.astype(kind), offset.astype(kind), np.array(bounds, kind)
    output = torch.empty_like(x, memory_format=torch.channels_last)
    _run(normalise(kind.char), values, channels_last(output).reshape(-1), *cut)
    return output, cut


def _sums(loop: Callable[..., None], values: Array, *others: Array) -> Array:
    """Both sums [2, C] that a loop adds up, float64."""
    sums = np.zeros((PARTS, 2, values.shape[-1]))
    _run(loop, values, *others, sums.reshape(-1))
    total: Array = sums.sum(axis=0)
    return total


def _run(loop: Callable[..., None], values: Array, *others: Array) -> None:
    images = len(values)
    loop(values.reshape(-1), *others, images, values.size // images, threads=threads_for(values.size))
