"""Whether a training learns by torch's own loops or by those of `nas.layers.compiled`: what is faster.

The two round differently, so a training keeps to what it began with.
"""

import logging
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor

from nas.layers import ElasticDepthwiseConv2d, use_loops
from nas.layers.compiled import LEAST_KERNEL, available, learning_convolution, learning_norm
from nas.models import PoseNet

TORCH, COMPILED = "torch", "compiled"

_ROUNDS = 3

_log = logging.getLogger(__name__)


def choose_loops(net: PoseNet, fabric: Fabric, *, former: str | None = None) -> str:
    """Let a network learn by one kind of loops; all processes have to call this, and take the same.

    Args:
        former: the kind that its checkpoint names; None for a new training, which measures what is faster.

    Returns:
        TORCH or COMPILED.
    """
    kind = former or TORCH
    if former is None and fabric.device.type == "cpu" and available():
        kernels = [layer.kernels[0] for layer in net.modules() if isinstance(layer, ElasticDepthwiseConv2d)]
        kind = _faster(max(kernels, default=0))
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
    """What is faster on batch norm with ReLU, behind a depthwise convolution where kernels are large."""
    large = kernel >= LEAST_KERNEL
    ones = torch.ones(64, requires_grad=True)
    weight = torch.ones(64, 1, kernel, kernel, requires_grad=True)
    images = torch.rand(8, 64, 32, 24).to(memory_format=torch.channels_last).requires_grad_()

    def plain() -> Tensor:
        x = torch.conv2d(images, weight, None, padding=kernel // 2, groups=64) if large else images
        return F.relu(F.batch_norm(x, None, None, ones, ones, training=True), inplace=True)

    def compiled() -> Tensor:
        x = learning_convolution(images, weight, 1) if large else images
        return learning_norm(x, ones, ones, activation="relu", eps=1e-5)

    learned = [images, ones, weight] if large else [images, ones]
    ours = _seconds(compiled, learned)
    ratio = _seconds(plain, learned) / ours
    _log.info(
        "batch norms%s: %s (torch takes %.1f times as long here)",
        f" and depthwise convolutions over {LEAST_KERNEL - 2} px" if large else "",
        "compiled by numba" if ratio > 1 else "torch's own",
        ratio,
    )
    return COMPILED if ratio > 1 else TORCH


def _seconds(layers: Callable[[], Tensor], learned: list[Tensor]) -> float:
    """CPU time of a forward and a backward pass, the shortest of some, on one thread.

    Other work on the machine then changes little, and never which kind is the faster one.
    """
    threads, times = torch.get_num_threads(), []
    torch.set_num_threads(1)
    try:
        for _ in range(_ROUNDS + 1):
            start = time.thread_time()
            output = layers()
            torch.autograd.grad(output, learned, output)
            times.append(time.thread_time() - start)
    finally:
        torch.set_num_threads(threads)
    return min(times[1:])  # the first one compiles
