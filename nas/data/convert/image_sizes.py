"""Sizes of image files, which some formats do not state."""

from collections.abc import Sequence
from pathlib import Path

from nas.data.threads import Progress, on_all_cores
from nas.pictures import UnreadablePictureError, read_picture


def image_sizes(paths: Sequence[Path], progress: Progress | None = None) -> list[tuple[int, int] | str]:
    """The (h, w) of each image, turned as its orientation flag says; or why it cannot be read."""
    return list(on_all_cores(image_size, paths, progress))


def image_size(path: Path) -> tuple[int, int] | str:
    """The (h, w) of one image; or why it cannot be read."""
    try:
        height, width, _ = read_picture(path).shape
    except UnreadablePictureError as error:
        return error.reason
    return height, width
