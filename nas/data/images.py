"""Reading images: decoded, shrunk to what is needed, and kept in memory shared by worker processes."""

import logging
import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from weakref import WeakSet

import cv2
import numpy as np

from nas.arrays import Floats, Ints, Pixels
from nas.data.annotations import Annotations
from nas.data.shards import MIB, ImageFile
from nas.pictures import (
    Orientation,
    UnreadablePictureError,
    decode_picture,
    picture_content,
    picture_header,
)

log = logging.getLogger(__name__)

WORTH_SHRINKING = 0.75
"""An image that would keep more than this of its sides is left as it is."""

MEMORY_SHARE = 0.5
"""Of the available memory, what a cache without a stated budget may take."""


class WrongSizeError(UnreadablePictureError):
    """A sound image of another size than annotated."""


class NotTurnedError(WrongSizeError):
    """A sound image of the annotated size only before, or only after, its orientation flag turns it."""


def decode(path: ImageFile, size: tuple[int, int], *, orientation: Orientation = "turned") -> Pixels:
    """An RGB image [H, W, 3] of the annotated size (h, w).

    Raises:
        UnreadablePictureError: missing, not a whole picture, or of another size.
    """
    return decode_annotated(picture_content(path), path, size, orientation=orientation)


def decode_annotated(
    content: bytes, path: ImageFile, size: tuple[int, int], *, orientation: Orientation
) -> Pixels:
    """As `decode`, of the content of a file."""
    image = decode_picture(content, path, orientation=orientation)
    if image.shape[:2] != size:
        raise _wrong_size(content, path, size, orientation)
    return image


def read_annotated(annotations: Annotations, image: int) -> Pixels:
    """The RGB image [H, W, 3] at that position of a set. Raises UnreadablePictureError; see `decode`."""
    size = annotations.images[image].size
    return decode(annotations.image_file(image), size, orientation=annotations.orientation)


def _wrong_size(
    content: bytes, path: ImageFile, size: tuple[int, int], orientation: Orientation
) -> WrongSizeError:
    header = picture_header(content, path)
    turned, stored = header.turned_size, header.size
    wanted = f"{size[1]} x {size[0]}"
    if size not in (turned, stored):
        found = turned if orientation == "turned" else stored
        return WrongSizeError(path, f"is {found[1]} x {found[0]} px, annotated as {wanted}")
    if orientation == "turned":
        return NotTurnedError(
            path,
            f"is {turned[1]} x {turned[0]} px once it is turned as its orientation flag says, annotated as "
            f"{wanted}, as it is stored; labels of stored pictures need the orientation `stored` "
            "(data.orientation of a recipe)",
        )
    return NotTurnedError(
        path,
        f"is {stored[1]} x {stored[0]} px as stored, annotated as {wanted}, its size once it is turned as "
        "its orientation flag says: such labels need the orientation `turned`",
    )


def available_mib() -> int:
    """Memory that this process can still take, in MiB: the machine's, or what its control group leaves."""
    limits = []
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                limits.append(int(line.split()[1]) // 1024)
    except OSError:
        if "SC_AVPHYS_PAGES" in os.sysconf_names:
            limits.append(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // MIB)
    group = Path("/sys/fs/cgroup")
    try:
        most = int((group / "memory.max").read_text())
        limits.append((most - int((group / "memory.current").read_text())) // MIB)
    except (OSError, ValueError):
        pass  # no control group, or "max": no limit
    return max(0, min(limits, default=0))


class ImageStore:
    """Images by position: decoded, shrunk and, with a large enough budget, decoded only once.

    The cache is one block of memory that forked workers share; whoever needs an image first fills its place.
    An image comes out the same with and without the cache. A pickled copy (workers that are not forked) has
    no cache. Caches of one process do not promise the same memory twice.

    Args:
        paths: the files.
        sizes: [N, 2] annotated (h, w).
        shrink: [N] factor in (0, 1] by which an image may be shrunk.
        orientations: [N] whether each is turned as its orientation flag says; by default all are.
        budget_mib: memory for the cache; 0 for none, None for half of what is available.
    """

    def __init__(
        self,
        paths: Sequence[ImageFile],
        sizes: Ints,
        shrink: Floats,
        *,
        orientations: Sequence[Orientation] | None = None,
        budget_mib: int | None = 0,
    ) -> None:
        self._paths = paths
        self._sizes = sizes
        self._orientations: Sequence[Orientation] = orientations or ["turned"] * len(paths)
        shrunk = np.maximum(1, np.rint(sizes * shrink[:, None])).astype(np.int64)
        self._shrunk = np.where((shrink > WORTH_SHRINKING)[:, None], sizes, shrunk)
        self._ends = np.cumsum(self._shrunk.prod(1) * 3)
        self._pixels: Pixels | None = None
        self._filled: Pixels | None = None
        if budget_mib != 0:
            self._reserve(budget_mib)

    @property
    def cached(self) -> bool:
        """Whether decoded images are kept."""
        return self._pixels is not None

    def scale(self, position: int) -> tuple[float, float]:
        """By how much the image was shrunk: (x, y) factors."""
        height, width = self._sizes[position]
        shrunk_height, shrunk_width = self._shrunk[position]
        return shrunk_width / width, shrunk_height / height

    def read(self, position: int) -> Pixels:
        """The RGB image [h, w, 3] at that position, shrunk; not to be written to.

        Raises:
            UnreadablePictureError: see `decode`.
        """
        if self._pixels is None or self._filled is None:
            return self._load(position)
        end = int(self._ends[position])
        height, width = self._shrunk[position].tolist()
        place = self._pixels[end - height * width * 3 : end].reshape(height, width, 3)
        if not self._filled[position]:
            # Two workers may fill the same place: they write the same bytes.
            place[:] = self._load(position)
            self._filled[position] = 1
        return place

    def _load(self, position: int) -> Pixels:
        height, width = self._sizes[position].tolist()
        image = decode(self._paths[position], (height, width), orientation=self._orientations[position])
        shrunk_height, shrunk_width = self._shrunk[position].tolist()
        if (shrunk_height, shrunk_width) == (height, width):
            return image
        return np.asarray(cv2.resize(image, (shrunk_width, shrunk_height), interpolation=cv2.INTER_AREA))

    def _unfilled(self) -> int:
        """Bytes of the cache that no image has taken yet."""
        return 0 if self._filled is None else int(self._shrunk[self._filled == 0].prod(1).sum()) * 3

    def _reserve(self, budget_mib: int | None) -> None:
        count, needed = len(self._paths), int(self._ends[-1])
        promised = sum(store._unfilled() for store in _LIVE)
        available = max(0, available_mib() - promised // MIB)
        budget = int(available * MEMORY_SHARE) if budget_mib is None else min(budget_mib, available)
        if needed > budget * MIB:
            log.warning(
                "%d images need %d MiB decoded, %d MiB are allowed: they are decoded anew each time",
                count,
                -(-needed // MIB),
                budget,
            )
            return
        # Anonymous shared memory: forked processes see each other's writes, and no /dev/shm limit applies.
        block = np.frombuffer(mmap.mmap(-1, needed + count), np.uint8)
        self._pixels, self._filled = block[:needed], block[needed:]
        _LIVE.add(self)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_pixels": None, "_filled": None}


_LIVE: WeakSet[ImageStore] = WeakSet()
"""The stores of this process that have a cache."""
