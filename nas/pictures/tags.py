"""The tags of TIFF files, and of the EXIF data that other formats carry in the form of one."""

import struct
from collections.abc import Mapping

ORIENTATION = 0x0112

_CODES: Mapping[int, str] = {1: "B", 3: "H", 4: "I", 16: "Q"}
"""Unsigned integers, by TIFF's number of their type."""

_EXIF = b"Exif\0\0"

OUT_OF_BOUNDS = (struct.error, IndexError, OverflowError)
"""What reading beyond a file's end, or at places that no file has, raises."""


class Tags:
    """The first directory of a TIFF or BigTIFF file.

    Args:
        content: the file.

    Raises:
        ValueError: this is no such file.
        OUT_OF_BOUNDS: it ends before its directory does.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        if content[:2] not in (b"II", b"MM"):
            raise ValueError("no TIFF")
        self.order = "<" if content[:2] == b"II" else ">"
        (version,) = self._numbers("H", 2)
        if version not in (42, 43):
            raise ValueError("no TIFF")
        offset, count, inline = ("I", "H", 4) if version == 42 else ("Q", "Q", 8)
        (start,) = self._numbers(offset, 4 if version == 42 else 8)
        (entries,) = self._numbers(count, start)
        first, length = start + struct.calcsize(f"<{count}"), 4 + 2 * inline
        self._places: dict[int, tuple[str, int, int]] = {}
        for at in range(first, first + entries * length, length):
            tag, kind = self._numbers("HH", at)
            (number,) = self._numbers(offset, at + 4)
            code = _CODES.get(kind)
            if code is None:
                continue
            place = at + 4 + inline
            if number * struct.calcsize(f"<{code}") > inline:
                (place,) = self._numbers(offset, place)
            self._places.setdefault(tag, (code, number, place))

    def values(self, tag: int, default: int) -> tuple[int, ...]:
        """The unsigned integers of a tag. Raises OUT_OF_BOUNDS where the file ends before they do."""
        code, number, place = self._places.get(tag, ("", 0, 0))
        if not number:
            return (default,)
        return self._numbers(f"{number}{code}", place)

    def value(self, tag: int, default: int) -> int:
        """The first of them."""
        return self.values(tag, default)[0]

    def upright(self) -> bytes:
        """The file with an orientation of 1."""
        if ORIENTATION not in self._places:
            return self._content
        code, _, place = self._places[ORIENTATION]
        one = struct.pack(f"{self.order}{code}", 1)
        return self._content[:place] + one + self._content[place + len(one) :]

    def _numbers(self, codes: str, at: int) -> tuple[int, ...]:
        return struct.unpack_from(f"{self.order}{codes}", self._content, at)


def exif_flag(exif: bytes) -> int:
    """The orientation, 1 to 8, that EXIF data state; 1 where they state none that makes sense."""
    try:
        flag = Tags(exif.removeprefix(_EXIF)).value(ORIENTATION, 1)
    except (ValueError, *OUT_OF_BOUNDS):
        return 1
    return flag if 1 <= flag <= 8 else 1
