"""Batches prepared by worker processes."""

import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self

import cv2
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from nas.data.batch import Batch, SampleRequest
from nas.data.dataset import KeypointDataset
from nas.data.threads import cores
from nas.errors import UserError
from nas.interrupt import leave_to_parent

log = logging.getLogger(__name__)

TOLERATED_FAILURES = 10
"""So many unreadable images are tolerated however few were asked for."""

_PREFETCH = 2
"""Batches that each worker prepares ahead."""
MOST_WORKERS = 16


def default_workers() -> int:
    """Worker processes where nothing is stated: all cores of this process but one, at least one."""
    return min(MOST_WORKERS, max(1, cores() - 1))


class Loader:
    """Turns plans into batches; what comes out does not depend on the number of workers.

    Workers start with the first plan and stay for the following ones. Only one plan runs at a time: a new one
    ends the former. `close`, or leaving the `with` block, ends the workers. Unreadable images are logged once
    each, and counted over the loader's life.

    Args:
        dataset: prepares the samples.
        workers: processes; 0 prepares in this one, None takes `default_workers()`.
        pin_memory: hand out batches in page-locked memory.
        bad_share: the share of the samples asked for whose images may be unreadable.
    """

    def __init__(
        self,
        dataset: KeypointDataset,
        *,
        workers: int | None = None,
        pin_memory: bool = False,
        bad_share: float = 0.05,
    ) -> None:
        workers = default_workers() if workers is None else workers
        self._bad_share = bad_share
        self._asked = 0
        self._failures: list[str] = []
        self._plan = _RequestSampler()
        # Forked workers share the image cache; elsewhere than on Linux forking is not safe.
        forks = workers > 0 and sys.platform.startswith("linux")
        self._loader: DataLoader[Any] | None = DataLoader(
            _BatchMaker(dataset),
            batch_size=None,
            sampler=self._plan,
            num_workers=workers,
            pin_memory=pin_memory,
            persistent_workers=workers > 0,
            prefetch_factor=_PREFETCH if workers else None,
            worker_init_fn=_start_worker if workers else None,
            multiprocessing_context="fork" if forks else None,
        )

    @property
    def failures(self) -> tuple[str, ...]:
        """One line for each time that an image could not be read, as `path: reason`."""
        return tuple(self._failures)

    def batches(self, plan: Iterable[Sequence[SampleRequest]]) -> Iterator[Batch]:
        """The batches of a plan, one for each of its lists of requests, in order.

        The plan is read ahead of what is handed out.

        Raises:
            UserError: more than the stated share of images, or one that may not be replaced, cannot be read.
        """
        if self._loader is None:
            raise ValueError("the loader is closed")
        self._plan.batches = plan
        fault = None
        for made in self._loader:
            fault = made if isinstance(made, UserError) else self._count(made)
            if fault is not None:
                break
            yield made
        if fault is not None:
            self.close()
            raise fault

    def close(self) -> None:
        """End the workers."""
        self._loader = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _count(self, batch: Batch) -> UserError | None:
        """Log and count what could not be read; the error, once that is too much."""
        self._asked += len(batch)
        for line in batch.failures:
            if line not in self._failures:
                log.warning("%s; another sample takes its place", line)
            self._failures.append(line)
        bad = len(self._failures)
        if bad <= max(TOLERATED_FAILURES, self._bad_share * self._asked):
            return None
        return UserError(
            f"{bad} of the {self._asked} images asked for cannot be read "
            f"({self._bad_share:.0%} are tolerated), the first: {self._failures[0]}"
        )


class _RequestSampler(Sampler[Sequence[SampleRequest]]):
    """Hands the current plan to the data loader."""

    def __init__(self) -> None:
        self.batches: Iterable[Sequence[SampleRequest]] = ()

    def __iter__(self) -> Iterator[Sequence[SampleRequest]]:
        return iter(self.batches)


class _BatchMaker(Dataset[Any]):
    """Makes whole batches in a worker, so that samples are written where the batch needs them.

    A user's mistake is handed over as a value: the data loader would wrap it into a traceback.
    """

    def __init__(self, dataset: KeypointDataset) -> None:
        self._dataset = dataset

    def __getitem__(self, requests: Sequence[SampleRequest]) -> Batch | UserError:
        try:
            return self._dataset.batch(requests)
        except UserError as error:
            return error


def _start_worker(_: int) -> None:
    # One process is one core's work.
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    leave_to_parent()
