"""Checks of the images of a data set, and what makes two of them the same."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from nas.data.check_annotations import CheckedFile, Image
from nas.data.check_report import Example, Findings, Picture
from nas.data.images import UnreadableImageError, WrongSizeError, decode

Progress = Callable[[int, int], None]

THUMB = 16
_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """What an image looks like.

    Args:
        content: digest of the file.
        dhash: 64 bits, whether brightness rises from left to right in a grid of 8 x 8.
        thumb: [16 * 16] the brightness, small.
    """

    content: bytes
    dhash: int
    thumb: NDArray[np.uint8]


Fingerprints = Mapping[Path, Fingerprint]


def check_images(
    files: Iterable[CheckedFile], findings: Findings, progress: Progress | None = None
) -> dict[Path, Fingerprint]:
    """Decode every image once; a problem counts once, whatever number of splits list the image.

    Args:
        files: the splits, with their usable images.
        findings: missing, broken and wrongly sized images are added here.
        progress: called with how many of how many images are done.

    Returns:
        The sound images' fingerprints by file.
    """
    asked: dict[tuple[Path, tuple[int, int]], tuple[CheckedFile, Image]] = {}
    for checked in files:
        for image in checked.images:
            if image.file is not None:
                asked.setdefault((image.file, image.size), (checked, image))
    prints: dict[Path, Fingerprint] = {}
    rest, done = iter(asked.items()), 0
    with ThreadPoolExecutor() as pool:
        # In portions, so that Ctrl-C does not wait for all of them.
        while portion := list(islice(rest, _AT_ONCE)):
            results = pool.map(_look, (key for key, _ in portion))
            for ((file, _), (checked, image)), result in zip(portion, results, strict=True):
                if isinstance(result, Fingerprint):
                    prints[file] = result
                else:
                    kind, reason, pictures = result
                    example = Example(
                        checked.split.path, reason, image=image.id, name=image.name, pictures=pictures
                    )
                    findings.add(kind, example)
            done += len(portion)
            if progress is not None:
                progress(done, len(asked))
    return prints


def _look(
    asked: tuple[Path, tuple[int, int]],
) -> Fingerprint | tuple[str, str, tuple[Picture, ...]]:
    """The image's fingerprint, or the class, reason and pictures of what is wrong."""
    file, size = asked
    try:
        pixels = decode(file, size)
        content = file.read_bytes()
    except WrongSizeError as error:
        return "image_size", error.reason, (Picture(file),)
    except UnreadableImageError as error:
        return ("image_corrupt" if file.is_file() else "image_missing"), error.reason, ()
    except OSError as error:
        return "image_corrupt", f"cannot be read ({error.strerror})", ()
    return fingerprint(content, pixels)


def fingerprint(content: bytes, pixels: NDArray[np.uint8]) -> Fingerprint:
    """The fingerprint of a file and its RGB pixels [H, W, 3]."""
    small = cv2.resize(pixels, (4 * THUMB, 4 * THUMB), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    grid = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA).astype(np.int16)
    thumb = cv2.resize(grey, (THUMB, THUMB), interpolation=cv2.INTER_AREA)
    bits = np.packbits(grid[:, 1:] > grid[:, :-1])
    return Fingerprint(
        hashlib.blake2b(content, digest_size=16).digest(),
        int.from_bytes(bits.tobytes(), "big"),
        np.asarray(thumb, np.uint8).ravel(),
    )
