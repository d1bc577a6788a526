"""Which samples come when: a pure function of the seed and the position in the stream."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class SampleOrder:
    """An endless, shuffled stream over the samples of several sources.

    In one epoch every sample of a source of weight w comes w times: the whole part of w for certain, one more
    time for a random share of its samples that is the rest. All weights 1 is a plain shuffle.

    Args:
        counts: samples of each source; their indices follow one another.
        weights: positive weight of each source.
    """

    def __init__(self, counts: Sequence[int], weights: Sequence[float]) -> None:
        if len(counts) != len(weights) or min(weights) <= 0:
            raise ValueError(f"{len(counts)} sources need as many positive weights, got {list(weights)}")
        self._counts = tuple(counts)
        self._weights = tuple(weights)
        self._extra = [round(count * (weight % 1)) for count, weight in zip(counts, weights, strict=True)]
        self._recent: dict[tuple[int, int], NDArray[np.int64]] = {}

    def __len__(self) -> int:
        """Samples in one epoch."""
        whole = [count * int(weight) for count, weight in zip(self._counts, self._weights, strict=True)]
        return sum(whole) + sum(self._extra)

    def indices(self, start: int, count: int, *, seed: int) -> NDArray[np.int64]:
        """The sample indices [count] at positions start, start + 1, ... of the stream."""
        if not len(self):
            raise ValueError("an epoch without samples has no order")
        parts, position = [], start
        while position < start + count:
            epoch, offset = divmod(position, len(self))
            part = self._epoch(epoch, seed)[offset : offset + start + count - position]
            parts.append(part)
            position += len(part)
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def _epoch(self, epoch: int, seed: int) -> NDArray[np.int64]:
        key = (seed, epoch)
        if key not in self._recent:
            if len(self._recent) > 1:
                self._recent.clear()
            self._recent[key] = self._shuffle(np.random.default_rng(key))
        return self._recent[key]

    def _shuffle(self, rng: np.random.Generator) -> NDArray[np.int64]:
        parts, first = [], 0
        for count, weight, extra in zip(self._counts, self._weights, self._extra, strict=True):
            parts.append(np.tile(np.arange(first, first + count), int(weight)))
            parts.append(first + rng.permutation(count)[:extra])
            first += count
        return rng.permutation(np.concatenate(parts))
