"""The recorded training images that batch-norm statistics are measured on."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nas.data import KeypointDataset, SampleRequest
from nas.documents import read_json
from nas.errors import UserError
from nas.evenly import evenly
from nas.files import write_json
from nas.models import PoseNet, Statistics, to_input
from nas.models.calibrate import Moments, moments, pooled
from nas.space import Arch

Share = Callable[[Sequence[int], Callable[[int], Moments]], list[Moments]]
"""Does the work once for each item, shared out over processes; every process gets all results, in order."""


class CalibrationImages:
    """A fixed list of training samples, shown without augmentation.

    Their pixels are kept in memory for every resolution that was asked for.

    Args:
        dataset: training samples, the search split left out.
        indices: which of them.
        batch: images per batch.
        source: named in the statistics' origin.
    """

    def __init__(
        self, dataset: KeypointDataset, indices: Sequence[int], *, batch: int, source: str = "training images"
    ) -> None:
        self.indices = tuple(indices)
        self._dataset = dataset
        self._batch = batch
        self._source = source
        self._pixels: dict[tuple[tuple[int, int], int], Tensor] = {}

    def statistics(self, net: PoseNet, arch: Arch | None = None, *, share: Share | None = None) -> Statistics:
        """Batch-norm statistics of one architecture; the network is not changed.

        With a share, every process runs a part of the batches, and all of them have to call this; what
        they get is the same, bit for bit, as one process gets.
        """
        arch = net.resolve(arch)
        reference = next(net.parameters())

        def of_batch(number: int) -> Moments:
            images = to_input(
                self._batch_of(arch.resolution, number), reference.device, dtype=reference.dtype
            )
            found = moments(net, arch, images)
            return found if share is None else found.cpu()

        batches = range(self._count)
        parts = [of_batch(number) for number in batches] if share is None else share(batches, of_batch)
        return pooled(net, arch, parts, source=self._source)

    def part(self, images: int) -> "CalibrationImages":
        """So many of them, evenly spread over the list; all where there are no more."""
        return CalibrationImages(
            self._dataset,
            [self.indices[place] for place in evenly(len(self.indices), images)],
            batch=self._batch,
            source=self._source,
        )

    def batches(
        self,
        resolution: tuple[int, int],
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Iterator[Tensor]:
        """Normalised images [B, 3, H, W] at one resolution."""
        for number in range(self._count):
            yield to_input(self._batch_of(resolution, number), device, dtype=dtype)

    @property
    def _count(self) -> int:
        return -(-len(self.indices) // self._batch)

    def _batch_of(self, resolution: tuple[int, int], number: int) -> Tensor:
        if (resolution, number) not in self._pixels:
            indices = self.indices[number * self._batch : (number + 1) * self._batch]
            requests = [SampleRequest(index, (index,), resolution, augment=False) for index in indices]
            self._pixels[resolution, number] = self._dataset.batch(requests).images
        return self._pixels[resolution, number]


def choose_images(
    path: Path, dataset: KeypointDataset, rng: np.random.Generator, *, images: int, batch: int
) -> CalibrationImages:
    """Draw the list and record it in a file, or read the one that was recorded.

    Raises:
        UserError: the recorded list is not of this data set.
    """
    if not path.is_file():
        chosen = np.sort(rng.permutation(len(dataset))[:images]).tolist()
        names = _file_names(dataset)
        samples = [dataset.sample_id(index) for index in chosen]
        write_json(path, {"samples": [[*sample, names[sample[:2]]] for sample in samples]})
    return CalibrationImages(dataset, _recorded(path, dataset), batch=batch)


def _recorded(path: Path, dataset: KeypointDataset) -> list[int]:
    positions = {tuple(dataset.sample_id(index)): index for index in range(len(dataset))}
    names = _file_names(dataset)
    document = read_json(path)
    samples = document.get("samples") if isinstance(document, dict) else None
    if not isinstance(samples, list) or not all(map(_is_sample, samples)):
        raise UserError(f"{path}: not a list of calibration images; delete it to draw one anew")
    chosen = []
    for source, image, person, *known in samples:
        position, now = positions.get((source, image, person)), names.get((source, image))
        if position is None:
            raise UserError(f"{path}: names images that are not in the training set; put the data back")
        if known and known != [now]:
            raise UserError(
                f"{path}: drawn from other training images: image {image} was {known[0]}, is {now} now; "
                "put the data back"
            )
        chosen.append(position)
    return chosen


def _is_sample(value: Any) -> bool:
    """Whether a value is a source, an image, a person or none, and a name (not in earlier versions)."""
    return (
        isinstance(value, list)
        and len(value) in (3, 4)
        and not any(isinstance(part, list | dict) for part in value)
    )


def _file_names(dataset: KeypointDataset) -> dict[tuple[int, int], str]:
    """The file names of all images, by position of their source and id."""
    return {
        (position, image.id): image.file
        for position, source in enumerate(dataset.sources)
        for image in source.images
    }
