"""From a picture file to its pixels."""

import os
from pathlib import Path
from typing import Any, Literal, Protocol

import cv2
import numpy as np

from nas.arrays import Pixels
from nas.errors import UserError
from nas.files import is_file, is_folder
from nas.pictures.header import Header, HeaderError, read_header

# What is the matter with a file is said once, by the error.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


Orientation = Literal["turned", "stored"]
"""Whether pictures are turned as the orientation flag says that cameras write, or left as they are stored."""

PICTURE_SUFFIXES = frozenset((".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"))
"""Of the files that are looked for in folders; what a file is, its content says."""

MOST_MEGAPIXELS = 256
"""Larger pictures are refused, unless the environment says otherwise."""

LIMIT_VARIABLE = "NAS_MOST_MEGAPIXELS"


class PictureFile(Protocol):
    """What has a picture's bytes: a path, or a member of a shard."""

    def read_bytes(self) -> bytes:
        """The content. Raises OSError."""


class UnreadablePictureError(UserError):
    """A file is missing or holds no sound picture.

    Args:
        path: what the file is called.
        reason: what is the matter.
    """

    def __init__(self, path: object, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason

    def __reduce__(self) -> Any:
        return type(self), (self.path, self.reason)


def read_picture(file: PictureFile, *, orientation: Orientation = "turned") -> Pixels:
    """The pixels of a picture file; see `decode_picture`, also for what it raises."""
    return decode_picture(picture_content(file), file, orientation=orientation)


def picture_content(file: PictureFile) -> bytes:
    """The bytes of a picture file. Raises UnreadablePictureError where there are none."""
    if isinstance(file, Path) and not is_file(file):
        raise UnreadablePictureError(file, "this is no file" if is_folder(file) else "the file is missing")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UnreadablePictureError(file, f"cannot be read ({error.strerror})") from None
    if not content:
        raise UnreadablePictureError(file, "the file is empty")
    return content


def picture_header(content: bytes, name: object) -> Header:
    """What a file says of its picture. Raises UnreadablePictureError for no picture, or one cut short."""
    try:
        return read_header(content)
    except HeaderError as error:
        raise UnreadablePictureError(name, str(error)) from None


def decode_picture(
    content: bytes,
    name: object,
    *,
    orientation: Orientation = "turned",
    most_megapixels: float | None = None,
) -> Pixels:
    """The RGB picture [H, W, 3] of a file's content.

    Grey, palettes and CMYK become RGB, transparency is left out, of 16 bits the upper 8 are kept.

    Args:
        content: the file.
        name: what errors call it.
        orientation: whether it is turned as its orientation flag says.
        most_megapixels: larger pictures are refused; by default what NAS_MOST_MEGAPIXELS says, or 256.

    Raises:
        UnreadablePictureError: not a picture, cut short, or too large.
    """
    header = picture_header(content, name)
    _check_size(header, name, most_megapixels)
    pixels = _decode(header.content)
    if pixels is None:
        raise UnreadablePictureError(name, "this is not an image that can be decoded")
    if _goes_on(header, pixels):
        raise UnreadablePictureError(name, "the JPEG is cut short")
    pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels), np.uint8)
    return _turned(pixels, header.flag) if orientation == "turned" else pixels


def _check_size(header: Header, name: object, most: float | None) -> None:
    if most is None:
        stated = os.environ.get(LIMIT_VARIABLE, str(MOST_MEGAPIXELS))
        try:
            most = float(stated)
        except ValueError:
            raise UserError(f"{LIMIT_VARIABLE}={stated}: not a number of megapixels") from None
    height, width = header.size
    if height * width > most * 1e6:
        raise UnreadablePictureError(
            name,
            f"has {width} x {height} px, {height * width / 1e6:,.0f} megapixels where at most {most:g} are "
            f"decoded (the environment's {LIMIT_VARIABLE} allows more)",
        )


def _decode(content: bytes) -> Pixels | None:
    try:
        pixels: Pixels | None = cv2.imdecode(
            np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        )
    except cv2.error:
        return None
    return pixels


_FILLING = 128
_MORE = bytes(range(1, 255)) * 4


def _goes_on(header: Header, pixels: Pixels) -> bool:
    """Whether a JPEG's decoder would have taken more data than there were before the end.

    What is missing at the lower right comes out grey. Few whole pictures are of this very grey there: those
    look the same with more data.
    """
    if not header.end or (pixels[-1, -1] != _FILLING).any():
        return False
    fed = header.content[: header.end - 2] + _MORE + header.content[header.end - 2 : header.end]
    other = _decode(fed)
    return other is None or not np.array_equal(pixels, other)


def _turned(pixels: Pixels, flag: int) -> Pixels:
    """The pixels turned from how they are stored, as EXIF's orientation says."""
    if flag >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if flag in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if flag in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
