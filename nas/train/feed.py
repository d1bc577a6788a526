"""The parts of every step, as plans ask for them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from lightning_fabric import Fabric
from torch import Tensor

from nas.data import Batch, Loader, SampleRequest
from nas.errors import UserError
from nas.models import to_input
from nas.train.plan import Planner


class BatchPart(NamedTuple):
    """One part of a step, on the device: normalised images [B, 3, H, W] and the targets of each head."""

    images: Tensor
    targets: Sequence[Mapping[str, Tensor]]


class Feed:
    """What this process learns from, step by step; the loader prepares it ahead.

    Args:
        loader: prepares batches.
        planner: says what they hold.
        batch: samples per step, over all processes.
        accumulate: parts of a process's share.
        dtype: of the network's weights.

    Raises:
        UserError: the batch cannot be divided evenly.
    """

    def __init__(
        self,
        loader: Loader,
        planner: Planner,
        fabric: Fabric,
        *,
        batch: int,
        accumulate: int,
        dtype: torch.dtype,
    ) -> None:
        self._loader = loader
        self._planner = planner
        self._device = fabric.device
        self._dtype = dtype
        self._parts = fabric.world_size * accumulate
        self._mine = range(fabric.global_rank * accumulate, (fabric.global_rank + 1) * accumulate)
        if batch % self._parts:
            raise UserError(
                f"batch: {batch} images cannot be divided evenly over {fabric.world_size} processes with "
                f"accumulate {accumulate}; make it a multiple of {self._parts}"
            )

    def __call__(self, first: int, end: int) -> Iterator[list[BatchPart]]:
        """The parts of steps `first` to `end` - 1."""
        batches = self._loader.batches(self._requests(first, end))
        for _ in range(first, end):
            yield [self._part(next(batches)) for _ in self._mine]

    def _requests(self, first: int, end: int) -> Iterator[list[SampleRequest]]:
        for step in range(first, end):
            plan = self._planner(step)
            for part in self._mine:
                yield plan.requests(part, self._parts)

    def _part(self, batch: Batch) -> BatchPart:
        targets = [
            {name: self._move(target) for name, target in head.items()}
            for head in (batch.targets, *batch.beside)
        ]
        return BatchPart(to_input(batch.images, self._device, dtype=self._dtype), targets)

    def _move(self, target: Tensor) -> Tensor:
        dtype = self._dtype if target.is_floating_point() else target.dtype
        return target.to(self._device, dtype, non_blocking=True)
