"""How much memory a sequence of allocations takes in onnxruntime: a mirror of its two planners.

`Arena` is its BFC arena (best fit, chunks split at twice the wanted size, each new region twice as large as
the last), in which a first run allocates tensor by tensor. `Pattern` is the plan made of that run, by which
later runs allocate one block for all tensors (best fit into the gaps).
"""

from bisect import insort
from typing import NamedTuple

_REGION = 1 << 20
_ROUNDING = 256
_ALIGNMENT = 64
# A chunk is split at any rate where so much of it would be wasted.
_LARGEST_WASTE = 128 << 20


class Chunk(NamedTuple):
    """A piece of a region; ordered as onnxruntime looks for free ones."""

    size: int
    region: int
    offset: int


class Arena:
    """The arena's chunks, and up to where each region was written."""

    def __init__(self) -> None:
        self._free: list[Chunk] = []
        self._touched: list[int] = []
        self._next_region = _REGION

    @property
    def touched(self) -> int:
        """Bytes that were ever written: what the process has in memory."""
        return sum(self._touched)

    def allocate(self, size: int) -> Chunk:
        """The smallest free chunk that holds so many bytes, of a new region where there is none."""
        wanted = max(_ROUNDING, -(-size // _ROUNDING) * _ROUNDING)
        place = next((place for place, chunk in enumerate(self._free) if chunk.size >= wanted), None)
        chunk = self._extend(wanted) if place is None else self._free.pop(place)
        if chunk.size >= 2 * wanted or chunk.size - wanted >= _LARGEST_WASTE:
            insort(self._free, Chunk(chunk.size - wanted, chunk.region, chunk.offset + wanted))
            chunk = chunk._replace(size=wanted)
        self._touched[chunk.region] = max(self._touched[chunk.region], chunk.offset + size)
        return chunk

    def release(self, chunk: Chunk) -> None:
        """Give a chunk back; it grows together with free neighbours."""
        size, region, offset = chunk
        for free in [free for free in self._free if free.region == region]:
            if free.offset == offset + size:
                self._free.remove(free)
                size += free.size
            elif free.offset + free.size == offset:
                self._free.remove(free)
                size, offset = size + free.size, free.offset
        insort(self._free, Chunk(size, region, offset))

    def _extend(self, wanted: int) -> Chunk:
        doubled = self._next_region < wanted
        while self._next_region < wanted:
            self._next_region *= 2
        size = self._next_region
        if not doubled:
            self._next_region *= 2
        self._touched.append(0)
        return Chunk(size, len(self._touched) - 1, 0)


class Pattern:
    """Blocks at planned places of one buffer."""

    def __init__(self) -> None:
        self._blocks: list[tuple[int, int]] = []
        self.peak = 0
        """Size of the buffer."""

    def allocate(self, size: int) -> tuple[int, int]:
        """The smallest gap that holds so many bytes, or the end: (offset, size)."""
        wanted = max(_ALIGNMENT, -(-size // _ALIGNMENT) * _ALIGNMENT)
        end = 0
        gaps: list[tuple[int, int]] = []
        for offset, length in self._blocks:
            if offset - end >= wanted:
                gaps.append((offset - end, end))
            end = max(end, offset + length)
        block = (min(gaps)[1] if gaps else end), wanted
        insort(self._blocks, block)
        self.peak = max(self.peak, sum(block))
        return block

    def release(self, block: tuple[int, int]) -> None:
        """Leave the block's place to others."""
        self._blocks.remove(block)
