"""Batch-norm statistics of one architecture."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nas.layers import Context, Statistics
from nas.models.net import PoseNet
from nas.space.arch import Arch


@dataclass(frozen=True)
class Moments:
    """What one batch says of every batch norm.

    Args:
        count: images of the batch.
        values: name of the batch norm -> mean and biased variance [C], float64.
    """

    count: int
    values: Mapping[str, tuple[Tensor, Tensor]]

    def cpu(self) -> "Moments":
        """The same in the memory of the CPU."""
        values = {name: (mean.cpu(), variance.cpu()) for name, (mean, variance) in self.values.items()}
        return Moments(self.count, values)


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
    batches = [images] if isinstance(images, Tensor) else images
    return pooled(net, arch, [moments(net, arch, batch) for batch in batches], source=source)


@torch.no_grad()
def moments(net: PoseNet, arch: Arch | None, images: Tensor) -> Moments:
    """What one batch [B, 3, H, W] says of every batch norm of `arch`."""
    values: dict[str, tuple[Tensor, Tensor]] = {}

    def observe(key: str, mean: Tensor, variance: Tensor) -> None:
        values[key] = (mean.double(), variance.double())

    net.in_context(images, net.resolve(arch), Context(observe=observe))
    return Moments(len(images), values)


def pooled(net: PoseNet, arch: Arch | None, parts: Sequence[Moments], *, source: str) -> Statistics:
    """The statistics of `arch` from all its batches, wherever these were run. Raises ValueError for none."""
    first: dict[str, Tensor] = defaultdict(lambda: torch.zeros(()))
    second: dict[str, Tensor] = defaultdict(lambda: torch.zeros(()))
    count = sum(part.count for part in parts)
    if count == 0:
        raise ValueError("calibration needs images")
    for part in parts:
        for key, (mean, variance) in part.values.items():
            first[key] = first[key] + part.count * mean
            second[key] = second[key] + part.count * (variance + mean.square())
    reference = next(net.parameters())
    values = {}
    for key in first:
        mean = first[key] / count
        variance = (second[key] / count - mean.square()).clamp(min=0)
        values[key] = (mean.to(reference), variance.to(reference))
    return Statistics(net.resolve(arch).id, values, {"images": count, "source": source})
