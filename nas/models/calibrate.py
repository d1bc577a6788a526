"""Batch-norm statistics of one architecture."""

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor

from nas.layers import Run, Statistics
from nas.models.net import PoseNet
from nas.space.arch import Arch


@torch.no_grad()
def calibrate(
    net: PoseNet, arch: Arch | None, images: Tensor | Iterable[Tensor], *, source: str = "given images"
) -> Statistics:
    """Batch-norm statistics of `arch`, measured on batches of images; the network is not changed.

    Each batch runs with its own statistics; the results are the means of E[x] and E[x^2] over all batches,
    weighted by their sizes.

    Args:
        net: a supernet, or a plain network (arch None).
        images: one batch [B, 3, H, W] or several, normalised RGB at the architecture's resolution.
        source: said in the statistics' origin.

    Raises:
        ValueError: no images.
    """
    arch = net.resolve(arch)
    batches = [images] if isinstance(images, Tensor) else images
    first: dict[str, Tensor] = defaultdict(lambda: torch.zeros(()))
    second: dict[str, Tensor] = defaultdict(lambda: torch.zeros(()))
    count = 0

    def observe(key: str, x: Tensor) -> None:
        variance, mean = torch.var_mean(x.float(), dim=(0, 2, 3), correction=0)
        mean, variance = mean.double(), variance.double()
        first[key] = first[key] + len(x) * mean
        second[key] = second[key] + len(x) * (variance + mean.square())

    for batch in batches:
        net.run(batch, arch, Run(observe=observe))
        count += len(batch)
    if count == 0:
        raise ValueError("calibration needs images")
    dtype = next(net.parameters()).dtype
    values = {}
    for key in first:
        mean = first[key] / count
        variance = (second[key] / count - mean.square()).clamp(min=0)
        values[key] = (mean.to(dtype), variance.to(dtype))
    return Statistics(arch.id, values, {"images": count, "source": source})
