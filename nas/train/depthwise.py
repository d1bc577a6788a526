"""Which weight gradient depthwise convolutions learn by: torch's own, or the compiled one where it is faster.

The two round differently, so a training keeps to the one that it began with.
"""

import logging
import time
from collections.abc import Callable

import torch
from lightning_fabric import Fabric
from torch import Tensor

from nas.layers import ElasticDepthwiseConv2d
from nas.layers.depthwise import LEAST_KERNEL, learning_convolution
from nas.layers.weight_gradient import available
from nas.models import PoseNet

TORCH, COMPILED = "torch", "compiled"

_ROUNDS = 3

_log = logging.getLogger(__name__)


def learn_depthwise(net: PoseNet, fabric: Fabric, *, former: str | None = None) -> str:
    """Let a network learn by one way or the other; all processes have to call this, and take the same.

    Args:
        former: the way that its checkpoint names; None for a new training, which measures what is faster.

    Returns:
        TORCH or COMPILED.
    """
    layers = [layer for layer in net.modules() if isinstance(layer, ElasticDepthwiseConv2d)]
    kernel = max((max(layer.kernels) for layer in layers), default=0)
    way = former or TORCH
    if former is None and kernel >= LEAST_KERNEL and fabric.device.type == "cpu" and available():
        way = _faster(kernel)
    elif former == COMPILED and not available():
        _log.warning(
            "numba, which compiled the weight gradients of this training, is not installed here: torch "
            "computes them from now on, and the training is no longer equal to the bit"
        )
        way = TORCH
    way = str(fabric.broadcast(way))
    for layer in layers:
        layer.compiled_gradient = way == COMPILED
    return way


def _faster(kernel: int) -> str:
    weight = torch.ones(64, 1, kernel, kernel, requires_grad=True)
    images = torch.ones(8, 64, 32, 24).to(memory_format=torch.channels_last)

    def plain() -> Tensor:
        return torch.conv2d(images, weight, None, padding=kernel // 2, groups=64)

    ours = _seconds(lambda: learning_convolution(images, weight, 1), weight)
    ratio = _seconds(plain, weight) / ours
    told = "compiled by numba" if ratio > 1 else "torch's own"
    _log.info(
        "weight gradients of depthwise convolutions over %d px: %s (torch takes %.1f times as long here)",
        LEAST_KERNEL - 1, told, ratio,
    )  # fmt: skip
    return COMPILED if ratio > 1 else TORCH


def _seconds(convolve: Callable[[], Tensor], weight: Tensor) -> float:
    """CPU time of a backward pass to the weight, the shortest of some, on one thread.

    Other work on the machine then changes little, and never which way is the faster one.
    """
    threads, times = torch.get_num_threads(), []
    torch.set_num_threads(1)
    try:
        for _ in range(_ROUNDS + 1):
            output = convolve()
            start = time.thread_time()
            torch.autograd.grad(output, weight, output)
            times.append(time.thread_time() - start)
    finally:
        torch.set_num_threads(threads)
    return min(times[1:])  # the first one compiles
