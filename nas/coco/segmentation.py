"""Segmentations: polygons and run-length encodings, read and checked once, when a file is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.arrays import Flags, Floats, Ints
from nas.coco.values import EntryError, numbers, whole
from nas.documents import shown

FAR = 16.0
"""What lies farther from the image than so many of its longer sides is no place in or beside it."""

_FIRST = 48
"""The character that stands for 0 in a compressed encoding."""
_LONGEST_GROUP = 7
"""Characters of one number: 34 bits, more than any picture has pixels."""


@dataclass(frozen=True, eq=False)
class Polygons:
    """Outlines [P, 2] x, y: continuous, 0 at the first pixel's edge."""

    outlines: tuple[Floats, ...]

    @property
    def area(self) -> float:
        """Px^2; what two outlines share counts twice."""
        return float(sum(_polygon_area(outline) for outline in self.outlines))


@dataclass(frozen=True, eq=False)
class RunLengths:
    """Numbers of pixels outside, inside, outside, ..., down the columns of an image of size (h, w)."""

    size: tuple[int, int]
    counts: Ints

    @property
    def area(self) -> float:
        """Px^2."""
        return float(self.counts[1::2].sum())

    def mask(self) -> Flags:
        """[h, w] True inside."""
        inside = np.arange(len(self.counts)) % 2 == 1
        return np.repeat(inside, self.counts).reshape(self.size[::-1]).T


Segmentation = Polygons | RunLengths


def read_segmentation(value: Any, size: tuple[int, int]) -> Segmentation | None:
    """What a file's `segmentation` says about an image of size (h, w); None where it says nothing.

    Raises:
        EntryError: it cannot be read.
    """
    if value is None or value == []:
        return None
    if isinstance(value, Mapping):
        return _run_lengths(value, size)
    if not isinstance(value, list):
        raise EntryError(f"is neither polygons nor a run-length encoding, but {shown(value)}")
    if all(isinstance(part, int | float) for part in value):
        raise EntryError("is one flat list of numbers, not a list of polygons")
    return Polygons(tuple(_outline(part, size) for part in value))


def _outline(part: Any, size: tuple[int, int]) -> Floats:
    points = numbers(part)
    if points is None:
        raise EntryError(f"has a polygon that is no list of numbers, but {shown(part)}")
    if len(points) % 2 or len(points) < 6:
        raise EntryError(f"has a polygon of {len(points)} numbers; 2 for each of 3 points or more are needed")
    if not (np.abs(points) <= FAR * max(size)).all():
        raise EntryError("has a polygon with points at impossible places")
    return points.reshape(-1, 2)


def _run_lengths(value: Mapping[str, Any], size: tuple[int, int]) -> RunLengths:
    stated = value.get("size")
    sides = [whole(side) for side in stated] if isinstance(stated, list) else []
    if sides != list(size):
        raise EntryError(
            f"is a run-length encoding of size {shown(stated)} where the image has (h, w) {list(size)}"
        )
    counts = value.get("counts")
    if isinstance(counts, str):
        runs = decompress(counts)
    elif isinstance(counts, list):
        read = numbers(counts)
        if read is None or not (read == np.floor(read)).all() or not (np.abs(read) < 2**48).all():
            raise EntryError("is a run-length encoding with counts that are no whole numbers")
        runs = read.astype(np.int64)
    else:
        raise EntryError(f"is a run-length encoding without counts, but {shown(counts)}")
    total = size[0] * size[1]
    if ((runs < 0) | (runs > total)).any() or runs.sum() != total:
        raise EntryError(f"is a run-length encoding whose counts do not add up to the image's {total} pixels")
    return RunLengths(size, runs)


def decompress(text: str) -> Ints:
    """The counts of COCO's compressed encoding. Raises EntryError.

    Every character holds 5 bits, lowest first, and a sixth that says whether the number goes on; the highest
    bit of a number is its sign. From the fourth number on each is the difference to the one but last.
    """
    try:
        codes = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - _FIRST
    except UnicodeEncodeError:
        codes = np.array([-1])
    if not len(codes) or codes.min() < 0 or codes.max() >= 64 or codes[-1] & 32:
        raise EntryError("is a compressed run-length encoding that cannot be read")
    ends = np.flatnonzero(codes & 32 == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > _LONGEST_GROUP:
        raise EntryError("is a compressed run-length encoding with a number without measure")
    place = np.arange(len(codes)) - np.repeat(starts, lengths)
    found = np.add.reduceat((codes & 31) << (5 * place), starts)
    found -= np.where(codes[ends] & 16, 1 << (5 * lengths), 0)
    found[1::2] = np.cumsum(found[1::2])
    found[2::2] = np.cumsum(found[2::2])
    return np.asarray(found, np.int64)


def _polygon_area(outline: Floats) -> float:
    x, y = (outline - outline[0]).T
    return abs(float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum())) / 2
