"""Image files that sources name: whether they are there, and their sizes, which some formats do not state."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from nas.data.convert.coco_file import Progress
from nas.pictures import UnreadablePictureError, read_picture

_AT_ONCE = 64


def is_file(path: Path) -> bool:
    """Whether there is a file; names that are too long to be one are none."""
    try:
        return path.is_file()
    except OSError:
        return False


def image_sizes(paths: Sequence[Path], progress: Progress | None = None) -> list[tuple[int, int] | str]:
    """The (h, w) of each image, turned as its orientation flag says; or why it cannot be read."""
    sizes: list[tuple[int, int] | str] = []
    rest = iter(paths)
    with ThreadPoolExecutor() as pool:
        # In portions, so that Ctrl-C does not wait for all of them.
        while portion := list(islice(rest, _AT_ONCE)):
            sizes += pool.map(image_size, portion)
            if progress is not None:
                progress(len(sizes), len(paths))
    return sizes


def image_size(path: Path) -> tuple[int, int] | str:
    """The (h, w) of one image; or why it cannot be read."""
    try:
        height, width, _ = read_picture(path).shape
    except UnreadablePictureError as error:
        return error.reason
    return height, width
