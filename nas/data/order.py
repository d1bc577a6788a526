"""Which samples come when: a pure function of the seed and the position in the stream."""

from collections.abc import Sequence

import numpy as np

from nas.arrays import Floats, Ints


class SampleOrder:
    """An endless, shuffled stream over the samples of several sources.

    In one epoch a sample of frequency f comes f times: the whole part of f for certain, and one more time
    with the rest's probability. A sample's frequency is its source's weight times its own share. Where all
    are 1 this is a plain shuffle.

    Args:
        counts: samples of each source; their indices follow one another.
        weights: positive weight of each source.
        shares: [all samples] positive weight of each sample within its source, of mean 1 in each source; None
            for all alike.
    """

    def __init__(
        self,
        counts: Sequence[int],
        weights: Sequence[float],
        shares: Floats | None = None,
    ) -> None:
        if len(counts) != len(weights) or min(weights) <= 0:
            raise ValueError(f"{len(counts)} sources need as many positive weights, got {list(weights)}")
        if shares is not None and (len(shares) != sum(counts) or not (shares > 0).all()):
            raise ValueError(f"{sum(counts)} samples need as many positive shares, got {len(shares)}")
        frequencies = np.repeat(np.asarray(weights, np.float64), counts)
        if shares is not None:
            frequencies = frequencies * shares
        whole = np.floor(frequencies)
        self._whole = np.repeat(np.arange(len(frequencies)), whole.astype(np.int64))
        rests = np.split(frequencies - whole, np.cumsum(counts)[:-1])
        self._rests = list(zip(np.cumsum([0, *counts]).tolist(), rests, strict=False))
        self._length = len(self._whole) + sum(_whole_number(rest) for rest in rests)
        self._ends = np.cumsum(frequencies)
        self._recent: dict[tuple[int, int], Ints] = {}

    def __len__(self) -> int:
        """Samples in one epoch."""
        return self._length

    def draw(self, count: int, rng: np.random.Generator) -> Ints:
        """Sample indices [count], each drawn by itself, in proportion to the samples' frequencies."""
        drawn = np.searchsorted(self._ends, rng.random(count) * self._ends[-1], side="right")
        return np.asarray(np.minimum(drawn, len(self._ends) - 1), np.int64)

    def indices(self, start: int, count: int, *, seed: int) -> Ints:
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

    def _epoch(self, epoch: int, seed: int) -> Ints:
        key = (seed, epoch)
        if key not in self._recent:
            if len(self._recent) > 1:
                self._recent.clear()
            rng = np.random.default_rng(key)
            further = [first + _systematic(rest, rng) for first, rest in self._rests]
            self._recent[key] = rng.permutation(np.concatenate([self._whole, *further]))
        return self._recent[key]


def _whole_number(probabilities: Floats) -> int:
    return round(float(probabilities.sum()))


def _systematic(probabilities: Floats, rng: np.random.Generator) -> Ints:
    """As many indices as the probabilities add up to, rounded, each with its probability (Madow 1949)."""
    count = _whole_number(probabilities)
    order = rng.permutation(len(probabilities))
    if not count:
        return order[:0]
    ends = np.cumsum(probabilities[order])
    marks = (rng.random() + np.arange(count)) * ends[-1] / count
    chosen = np.searchsorted(ends, marks, side="right")
    return np.asarray(order[np.minimum(chosen, len(order) - 1)], np.int64)
