"""The recorded training images that batch-norm statistics are measured on."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nas.data import KeypointDataset, SampleRequest
from nas.errors import UserError
from nas.models import PoseNet, Statistics, calibrate, to_input
from nas.space import Arch
from nas.train.run_folder import write_json


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
        self._pixels: dict[tuple[int, int], list[Tensor]] = {}

    def statistics(self, net: PoseNet, arch: Arch | None = None) -> Statistics:
        """Batch-norm statistics of one architecture; the network is not changed."""
        arch = net.resolve(arch)
        reference = next(net.parameters())
        batches = self.batches(arch.resolution, device=reference.device, dtype=reference.dtype)
        return calibrate(net, arch, batches, source=self._source)

    def batches(
        self,
        resolution: tuple[int, int],
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Iterator[Tensor]:
        """Normalised images [B, 3, H, W] at one resolution."""
        if resolution not in self._pixels:
            self._pixels[resolution] = self._read(resolution)
        for pixels in self._pixels[resolution]:
            yield to_input(pixels, device, dtype=dtype)

    def _read(self, resolution: tuple[int, int]) -> list[Tensor]:
        requests = [SampleRequest(index, (index,), resolution, augment=False) for index in self.indices]
        parts = [requests[start : start + self._batch] for start in range(0, len(requests), self._batch)]
        return [self._dataset.batch(part).images for part in parts]


def choose_images(
    path: Path, dataset: KeypointDataset, rng: np.random.Generator, *, images: int, batch: int
) -> CalibrationImages:
    """Draw the list and record it in a file, or read the one that was recorded.

    Raises:
        UserError: the recorded list is not of this data set.
    """
    if not path.is_file():
        chosen = np.sort(rng.permutation(len(dataset))[:images]).tolist()
        write_json(path, {"samples": [list(dataset.sample_id(index)) for index in chosen]})
    return CalibrationImages(dataset, _recorded(path, dataset), batch=batch)


def _recorded(path: Path, dataset: KeypointDataset) -> list[int]:
    positions = {tuple(dataset.sample_id(index)): index for index in range(len(dataset))}
    try:
        return [positions[tuple(sample)] for sample in json.loads(path.read_text())["samples"]]
    except (OSError, ValueError, TypeError):
        raise UserError(f"{path}: not a list of calibration images; delete it to draw one anew") from None
    except KeyError:
        raise UserError(f"{path}: names images that are not in the training set; put the data back") from None
