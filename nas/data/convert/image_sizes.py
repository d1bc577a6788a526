"""Sizes of image files, for formats that do not state them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from nas.data.convert.coco_file import Progress

_AT_ONCE = 64

IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"))


def image_sizes(paths: Sequence[Path], progress: Progress | None = None) -> list[tuple[int, int] | None]:
    """The (h, w) of each image as it is shown, turned as its camera says; None for what cannot be decoded."""
    sizes: list[tuple[int, int] | None] = []
    rest = iter(paths)
    with ThreadPoolExecutor() as pool:
        # In portions, so that Ctrl-C does not wait for all of them.
        while portion := list(islice(rest, _AT_ONCE)):
            sizes += pool.map(image_size, portion)
            if progress is not None:
                progress(len(sizes), len(paths))
    return sizes


def image_size(path: Path) -> tuple[int, int] | None:
    """The (h, w) of one image; None where it is missing or cannot be decoded."""
    try:
        content = path.read_bytes()
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE) if content else None
    except (OSError, ValueError, cv2.error):
        return None
    return None if image is None else (int(image.shape[0]), int(image.shape[1]))
