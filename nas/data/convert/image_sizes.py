"""Sizes of image files, for formats that do not state them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from nas.data.convert.coco_file import Progress
from nas.pictures import UnreadablePictureError, read_picture

_AT_ONCE = 64


def image_sizes(paths: Sequence[Path], progress: Progress | None = None) -> list[tuple[int, int] | None]:
    """The (h, w) of each image, turned as its orientation flag says; None for what cannot be decoded."""
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
        height, width, _ = read_picture(path).shape
    except UnreadablePictureError:
        return None
    return height, width
