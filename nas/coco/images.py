"""The images that a COCO file lists."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from posixpath import normpath
from typing import Any

from nas.coco.document import check_unique, records
from nas.coco.values import EntryError, Record, number, whole
from nas.documents import shown
from nas.errors import UserError

LONGEST_SIDE = 2**20
"""Px; no picture is larger, and all that is computed from a size stays far from overflowing."""


@dataclass(frozen=True)
class ImageRecord:
    """One image.

    Args:
        id: the set's own id.
        file: path below the image folder, with `/` between its parts.
        size: (h, w) in px.
        crowd_index: how much people overlap, 0..1, where the set says so (CrowdPose).
    """

    id: int
    file: str
    size: tuple[int, int]
    crowd_index: float | None = None


def read_images(images: Sequence[Any], path: Path) -> tuple[ImageRecord, ...]:
    """All images of a file. Raises UserError: there is none, one cannot be read, an id comes twice."""
    found = []
    for item in records(images, path, "images"):
        try:
            found.append(read_image(item))
        except EntryError as error:
            raise UserError(f"{path}: image {shown(item.get('id'))} {error}") from None
    if not found:
        raise UserError(f"{path}: the split is empty, it lists no image")
    check_unique([record.id for record in found], f"{path}: image")
    return tuple(found)


def read_image(item: Record) -> ImageRecord:
    """One entry. Raises EntryError."""
    id_, name = read_name(item)
    crowd_index = item.get("crowdIndex")
    if crowd_index is not None and number(crowd_index) is None:
        raise EntryError(f"has a 'crowdIndex' that is no number, but {shown(crowd_index)}")
    return ImageRecord(id_, name, (_side(item, "height"), _side(item, "width")), number(crowd_index))


def read_name(item: Record) -> tuple[int, str]:
    """Id and file of an entry. Raises EntryError."""
    id_, name = whole(item.get("id")), item.get("file_name")
    if id_ is None:
        raise EntryError(f"has no whole number as 'id', but {shown(item.get('id'))}")
    if not isinstance(name, str) or not name or "\0" in name or not _can_be_encoded(name):
        raise EntryError(f"has no usable 'file_name', but {shown(name)}")
    # Files written on Windows have the other stroke; ./a.jpg is a.jpg.
    return id_, normpath(name.replace("\\", "/"))


def _side(item: Record, name: str) -> int:
    length = whole(item.get(name))
    if length is None or not 1 <= length <= LONGEST_SIDE:
        raise EntryError(f"has the impossible {name} {shown(item.get(name))}")
    return length


def lies_outside(file: str) -> bool:
    """Whether a name leads out of the image folder."""
    return file.startswith(("/", "../")) or file == ".." or bool(PureWindowsPath(file).drive)


def _can_be_encoded(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can spell
        return False
    return True
