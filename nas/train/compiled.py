"""Whether a training learns by torch's own loops or by those of `nas.layers.compiled`: what is faster.

The two round differently, so a training keeps to what it began with.
"""

import logging
import time
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor

from nas.layers import ElasticDepthwiseConv2d, use_loops
from nas.layers.compiled import LEAST_KERNEL, available, learning_convolution, learning_norm
from nas.models import PoseNet

TORCH, COMPILED = "torch", "compiled"

_ROUNDS = 8

_CLEARLY = 0.7
"""Torch is taken where it needs less than this share of the loops' time. Wherever they were tried it needs
half as much again, so that what else a machine does decides nothing: the same run learns the same."""

_log = logging.getLogger(__name__)


def choose_loops(net: PoseNet, fabric: Fabric, *, former: str | None = None) -> str:
    """Let a network learn by one kind of loops; all processes have to call this, and take the same.

    Args:
        former: the kind that its checkpoint names; None for a new training. That takes the loops where its
            depthwise kernels are large enough for them, unless they are much slower here.

    Returns:
        TORCH or COMPILED.
    """
    kind = former or TORCH
    if former is None and fabric.device.type == "cpu" and available():
        kernels = [layer.kernels[0] for layer in net.modules() if isinstance(layer, ElasticDepthwiseConv2d)]
        if max(kernels, default=0) >= LEAST_KERNEL:
            kind = _faster(max(kernels))
    elif former == COMPILED and not available():
        _log.warning(
            "numba, which compiled loops of this training, is not installed here: torch computes them from "
            "now on, and the training is no longer equal to the bit"
        )
        kind = TORCH
    kind = str(fabric.broadcast(kind))
    use_loops(net, kind == COMPILED)
    return kind


def _faster(kernel: int) -> str:
    """What is faster on batch norm with ReLU behind a depthwise convolution of that kernel."""
    ones = torch.ones(64, requires_grad=True)
    weight = torch.ones(64, 1, kernel, kernel, requires_grad=True)
    images = torch.rand(8, 64, 32, 24).to(memory_format=torch.channels_last).requires_grad_()

    def plain() -> Tensor:
        x = torch.conv2d(images, weight, None, padding=kernel // 2, groups=64)
        return F.relu(F.batch_norm(x, None, None, ones, ones, training=True), inplace=True)

    def compiled() -> Tensor:
        return learning_norm(learning_convolution(images, weight, 1), ones, ones, activation="relu", eps=1e-5)

    theirs, ours = _seconds([plain, compiled], [images, ones, weight])
    ratio = theirs / ours
    taken = COMPILED if ratio > _CLEARLY else TORCH
    _log.info(
        "batch norms and depthwise convolutions over %d px: %s (torch takes %.1f times as long here)",
        LEAST_KERNEL - 2,
        "compiled by numba" if taken == COMPILED else "torch's own",
        ratio,
    )
    return taken


def _seconds(candidates: Sequence[Callable[[], Tensor]], learned: list[Tensor]) -> list[float]:
    """CPU time of a forward and a backward pass of each, the shortest of some, on one thread.

    They take turns: what else a machine does then slows both down, and never decides which is the faster one.
    """
    threads = torch.get_num_threads()
    times: list[list[float]] = [[] for _ in candidates]
    torch.set_num_threads(1)
    try:
        for _ in range(_ROUNDS + 1):
            for layers, taken in zip(candidates, times, strict=True):
                start = time.thread_time()
                output = layers()
                torch.autograd.grad(output, learned, output)
                taken.append(time.thread_time() - start)
    finally:
        torch.set_num_threads(threads)
    return [min(taken[1:]) for taken in times]  # the first one compiles
