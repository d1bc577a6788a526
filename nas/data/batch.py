"""What is asked of a data set, and what it gives."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import torch

from nas.arrays import Pixels
from nas.codecs import Targets
from nas.codecs.affine import Affine
from nas.space.arch import Head


class TargetHead(NamedTuple):
    """A head whose targets are wanted, and input px per cell of the maps of its neck, coarsest first."""

    head: Head
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """One sample as a plan asks for it; the same request gives the same sample, whoever prepares it.

    Args:
        index: which sample of the data set.
        seed: what the augmentation is drawn from, such as (seed, step, position in the batch).
        resolution: input (h, w) in px.
        head: the head whose targets are wanted; None for none.
        strides: input px per cell of the maps of that head's neck, coarsest first.
        augment: whether the data set's augmentation applies.
        late: whether it is that of the last part of training, where the data set has one.
        replace: whether another sample takes the place of one that cannot be read (else a UserError).
        beside: further heads whose targets of the same image are wanted.
    """

    index: int
    seed: tuple[int, ...]
    resolution: tuple[int, int]
    head: Head | None = None
    strides: tuple[int, ...] = (4,)
    augment: bool = True
    late: bool = False
    replace: bool = True
    beside: tuple[TargetHead, ...] = ()

    @property
    def heads(self) -> tuple[TargetHead, ...]:
        """All heads whose targets are wanted."""
        return () if self.head is None else (TargetHead(self.head, self.strides), *self.beside)


class SampleId(NamedTuple):
    """Where a sample comes from: position of the source, the source's image id and, for a crop, person id."""

    source: int
    image: int
    person: int | None = None


@dataclass(frozen=True, eq=False)
class Sample:
    """One prepared sample.

    Args:
        image: [H, W, 3] uint8 RGB.
        targets: as the head's codec encodes them; empty where no head was named.
        id: where it comes from.
        inverse: [2, 3], from input px back to image px.
        failures: one line for each image that could not be read before this one could.
        beside: the targets of each further head.
    """

    image: Pixels
    targets: Targets
    id: SampleId
    inverse: Affine
    failures: tuple[str, ...] = ()
    beside: tuple[Targets, ...] = ()


@dataclass(frozen=True, eq=False)
class Batch:
    """Prepared samples of one resolution, with targets of the same heads.

    Args:
        images: [B, H, W, 3] uint8 RGB.
        targets: the head's targets, each [B, ...].
        ids: B entries.
        inverse: [B, 2, 3] float64, from input px back to image px.
        failures: one line for each image that could not be read and was replaced.
        beside: the targets of each further head.
    """

    images: torch.Tensor
    targets: dict[str, torch.Tensor]
    ids: tuple[SampleId, ...]
    inverse: torch.Tensor
    failures: tuple[str, ...] = ()
    beside: tuple[dict[str, torch.Tensor], ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Self:
        """The batch with images and targets on a device; ids and affines stay where they are."""

        def move(tensor: torch.Tensor) -> torch.Tensor:
            return tensor.to(device, non_blocking=non_blocking)

        return self._moved(move)

    def pin_memory(self) -> Self:
        """The batch in page-locked memory, from which a GPU copies faster."""
        return self._moved(torch.Tensor.pin_memory)

    def _moved(self, move: Any) -> Self:
        targets, *beside = (
            {name: move(target) for name, target in head.items()} for head in (self.targets, *self.beside)
        )
        return replace(self, images=move(self.images), targets=targets, beside=tuple(beside))
