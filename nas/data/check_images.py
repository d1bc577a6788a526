"""Checks of the images of a data set, and what makes two of them the same."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from nas.arrays import Pixels
from nas.data.check_annotations import CheckedFile, Image
from nas.data.check_report import Example, ExamplePicture, FindingCollector
from nas.data.images import NotTurnedError, WrongSizeError, decode_annotated
from nas.data.shards import ImageFile, ShardMember
from nas.data.threads import Progress, on_all_cores
from nas.files import is_file
from nas.pictures import Orientation, UnreadablePictureError, picture_content, picture_header

THUMB = 16


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
    thumb: Pixels


Fingerprints = Mapping[ImageFile, Fingerprint]


@dataclass(frozen=True, eq=False)
class _Look:
    """What looking at an image gave: its fingerprint where it is sound, a class of findings and the case."""

    fingerprint: Fingerprint | None
    kind: str | None = None
    what: str = ""


def check_images(
    files: Iterable[CheckedFile],
    findings: FindingCollector,
    progress: Progress | None = None,
    *,
    orientation: Orientation = "turned",
) -> dict[ImageFile, Fingerprint]:
    """Decode every image once; a problem counts once, whatever number of splits list the image.

    Args:
        files: the splits, with their usable images.
        findings: missing, broken and wrongly sized images are added here, and those whose orientation flag
            may contradict their labels.
        progress: called with how many of how many images are done.
        orientation: whether labels are of pictures turned as their orientation flag says, or as stored.

    Returns:
        The sound images' fingerprints by file.
    """
    asked: dict[tuple[ImageFile, tuple[int, int]], tuple[CheckedFile, Image]] = {}
    for checked in files:
        for image in checked.images:
            if image.file is not None:
                asked.setdefault((image.file, image.size), (checked, image))
    prints: dict[ImageFile, Fingerprint] = {}
    people: dict[Path, dict[int, list[Mapping[str, Any]]]] = {}
    looks = on_all_cores(partial(_look, orientation=orientation), list(asked), progress)
    for ((file, _), (checked, image)), look in zip(asked.items(), looks, strict=True):
        if look.fingerprint is not None:
            prints[file] = look.fingerprint
        if look.kind is None:
            continue
        path = checked.split.path
        if path not in people:
            people[path] = _rows_by_image(checked)
        picture = ExamplePicture(file, tuple(people[path].get(image.id, ())))
        example = Example(path, look.what, image=image.id, name=image.name, pictures=(picture,))
        findings.add(look.kind, example)
    return prints


def _rows_by_image(checked: CheckedFile) -> dict[int, list[Mapping[str, Any]]]:
    """The annotations of a file by their image, as the file has them."""
    rows: dict[int, list[Mapping[str, Any]]] = {}
    for row in checked.split.content["annotations"]:
        if isinstance(row, dict) and isinstance(row.get("image_id"), int):
            rows.setdefault(row["image_id"], []).append(row)
    return rows


def _look(asked: tuple[ImageFile, tuple[int, int]], *, orientation: Orientation) -> _Look:
    file, size = asked
    try:
        content = picture_content(file)
        pixels = decode_annotated(content, file, size, orientation=orientation)
        header = picture_header(content, file)
    except NotTurnedError as error:
        return _Look(None, "image_turned", error.reason)
    except WrongSizeError as error:
        return _Look(None, "image_size", error.reason)
    except UnreadablePictureError as error:
        there = isinstance(file, ShardMember) or is_file(file)
        return _Look(None, "image_corrupt" if there else "image_missing", error.reason)
    found = fingerprint(content, pixels)
    if header.flag == 1 or header.size != header.turned_size:
        return _Look(found)
    other = "as it is stored" if orientation == "turned" else "as its flag turns it"
    return _Look(found, "image_flag", f"orientation flag {header.flag}: labels may be of the picture {other}")


def fingerprint(content: bytes, pixels: Pixels) -> Fingerprint:
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
