"""What a picture file says before anything is decoded: its size, how it is to be turned, whether it is whole.

A file may go on behind the picture's end, as those of phones that append a film do. Ends that lie inside of
something else, such as that of an embedded thumbnail, do not count.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

from nas.pictures.tags import ORIENTATION, OUT_OF_BOUNDS, Tags, exif_flag


class HeaderError(Exception):
    """No picture, or not all of one; says why."""


@dataclass(frozen=True)
class Header:
    """What a file says of its picture.

    Args:
        size: (h, w) in px, as stored.
        flag: EXIF's orientation, 1 to 8: 1 as stored, 3 upside down, 2, 4, 5 and 7 mirrored, 5 to 8 with its
            sides exchanged.
        content: what OpenCV is to decode, so that it turns nothing by itself.
        end: where a JPEG ends; 0 for other formats, whose decoders say by themselves what they miss.
    """

    size: tuple[int, int]
    flag: int
    content: bytes
    end: int = 0

    @property
    def turned_size(self) -> tuple[int, int]:
        """(h, w) in px once it is turned as the flag says."""
        return self.size if self.flag < 5 else self.size[::-1]


def read_header(content: bytes) -> Header:
    """The header of a JPEG, PNG, WebP, BMP, TIFF, GIF or PNM file. Raises HeaderError."""
    for name, magic, read in _FORMATS:
        if magic.match(content):
            try:
                return read(content)
            except OUT_OF_BOUNDS:
                raise HeaderError(f"the {name} is cut short") from None
    raise HeaderError("this is not an image that can be decoded: no JPEG, PNG, WebP, BMP, TIFF, GIF or PNM")


_MARKER = re.compile(rb"\xff[^\x00\xff]")
_MARKER_IN_DATA = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Start of frame, which states the size."""

_BETWEEN_SCANS = frozenset((0xC4, 0xCC, 0xDA, 0xDB, 0xDC, 0xDD, *range(0xE0, 0xF0), 0xFE))
"""What may follow on a scan's data but the end: tables, further scans, comments."""


def _jpeg(content: bytes) -> Header:
    """Segment by segment, and through the data of every scan, to the picture's own end."""
    size, flag = None, None
    at, scanned, marker = 2, False, _MARKER
    while found := marker.search(content, at):
        code, data = content[found.end() - 1], found.end()
        if scanned and marker is _MARKER and content[at] != 0xFF:
            break
        if code == 0xD9:
            if size is None:
                raise HeaderError("this is not an image that can be decoded: a JPEG without a picture")
            return Header(size, flag or 1, content, data)
        at, marker = data, _MARKER
        if code == 0x01 or 0xD0 <= code <= 0xD7:
            continue
        if code == 0xD8 or (scanned and code not in _BETWEEN_SCANS):
            break
        (length,) = struct.unpack_from(">H", content, at)
        if code in _SIZES and size is None:
            size = struct.unpack_from(">HH", content, at + 3)
        elif code == 0xE1 and flag is None and content.startswith(b"Exif\0", at + 2):
            flag = exif_flag(content[at + 2 : at + length])
        elif code == 0xDA:
            scanned, marker = True, _MARKER_IN_DATA
        at += length
    raise HeaderError("the JPEG is cut short")


def _png(content: bytes) -> Header:
    width, height = struct.unpack_from(">II", content, 16)
    flag, at = 1, 8
    while True:
        length, kind = struct.unpack_from(">I4s", content, at)
        end = at + 12 + length
        if end > len(content):
            raise HeaderError("the PNG is cut short")
        if kind == b"eXIf":
            flag = exif_flag(content[at + 8 : end - 4])
        if kind == b"IEND":
            return Header((height, width), flag, content)
        at = end


def _webp(content: bytes) -> Header:
    (riff,) = struct.unpack_from("<I", content, 4)
    size, flag, at = None, 1, 12
    while at + 8 <= min(8 + riff, len(content)):
        kind, length = struct.unpack_from("<4sI", content, at)
        at += 8
        if at + length > len(content):
            raise HeaderError("the WebP is cut short")
        if kind == b"VP8X":
            width, height = content[at + 4 : at + 7], content[at + 7 : at + 10]
            size = int.from_bytes(height, "little") + 1, int.from_bytes(width, "little") + 1
        elif kind == b"VP8 " and size is None:
            width, height = struct.unpack_from("<HH", content, at + 6)
            size = height & 0x3FFF, width & 0x3FFF
        elif kind == b"VP8L" and size is None:
            (sides,) = struct.unpack_from("<I", content, at + 1)
            size = (sides >> 14 & 0x3FFF) + 1, (sides & 0x3FFF) + 1
        elif kind == b"EXIF":
            flag = exif_flag(content[at : at + length])
        at += length + length % 2
    if size is None or 8 + riff > len(content) + 1:
        raise HeaderError("the WebP is cut short")
    return Header(size, flag, content)


def _bmp(content: bytes) -> Header:
    (start, length) = struct.unpack_from("<II", content, 10)
    if length == 12:
        width, height, _, depth = struct.unpack_from("<HHHH", content, 18)
        packed = 0
    else:
        width, height, _, depth, packed = struct.unpack_from("<iiHHI", content, 18)
    rows = (width * depth + 31) // 32 * 4 * abs(height)
    if packed in (0, 3) and start + rows > len(content):
        raise HeaderError("the BMP is cut short")
    return Header((abs(height), width), 1, content)


_STARTS, _LENGTHS = (0x0111, 0x0144), (0x0117, 0x0145)
"""Where the strips, or the tiles, of a TIFF lie, and how long they are."""


def _tiff(content: bytes) -> Header:
    try:
        tags = Tags(content)
    except ValueError:
        raise HeaderError("this is not an image that can be decoded: no sound TIFF") from None
    for starts, lengths in zip(_STARTS, _LENGTHS, strict=True):
        parts = zip(tags.values(starts, 0), tags.values(lengths, 0), strict=False)
        if any(start + length > len(content) for start, length in parts):
            raise HeaderError("the TIFF is cut short")
    if set(tags.values(0x0153, 1)) != {1} or max(tags.values(0x0102, 1)) > 16:
        raise HeaderError("the TIFF holds no whole numbers of 8 or 16 bits: their range is not known")
    size = tags.value(0x0101, 0), tags.value(0x0100, 0)
    flag = tags.value(ORIENTATION, 1)
    # OpenCV turns TIFF files whatever it is told.
    return Header(size, flag if 1 <= flag <= 8 else 1, tags.upright())


def _gif(content: bytes) -> Header:
    width, height = struct.unpack_from("<HH", content, 6)
    return Header((height, width), 1, content)


_PNM_SIZE = re.compile(rb"P.(?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})\s")


def _pnm(content: bytes) -> Header:
    found = _PNM_SIZE.match(content)
    if found is None:
        raise HeaderError("this is not an image that can be decoded: no sound PNM")
    return Header((int(found[2]), int(found[1])), 1, content)


_FORMATS: tuple[tuple[str, re.Pattern[bytes], Callable[[bytes], Header]], ...] = (
    ("JPEG", re.compile(rb"\xff\xd8"), _jpeg),
    ("PNG", re.compile(rb"\x89PNG\r\n\x1a\n"), _png),
    ("WebP", re.compile(rb"RIFF....WEBP", re.DOTALL), _webp),
    ("BMP", re.compile(rb"BM"), _bmp),
    ("TIFF", re.compile(rb"II[*+]\0|MM\0[*+]"), _tiff),
    ("GIF", re.compile(rb"GIF8[79]a"), _gif),
    ("PNM", re.compile(rb"P[1-6]\s"), _pnm),
)
