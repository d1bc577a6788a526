"""Pictures that are too large, of no known range, or no pictures at all."""

import pickle
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from picture_files import FLAGGED, JPEG, KINDS, SIZE, picture, saved

from nas.errors import UserError
from nas.pictures import UnreadablePictureError, decode_picture, read_picture

SIDE = 30_000


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def huge() -> dict[str, bytes]:
    """Small files whose headers state 30000 x 30000 px; none has the data of so many."""
    start = JPEG.index(b"\xff\xc0") + 5
    bmp, webp = bytearray(KINDS["bmp"]()), bytearray(saved(picture("RGBA"), "WEBP"))
    bmp[18:26] = struct.pack("<ii", SIDE, SIDE)
    bmp[30:34] = struct.pack("<I", 1)  # packed, so that its rows have no fixed length
    webp[24:30] = (SIDE - 1).to_bytes(3, "little") * 2
    return {
        "jpeg": JPEG[:start] + struct.pack(">HH", SIDE, SIDE) + JPEG[start + 4 :],
        "png": b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b""),
        "bmp": bytes(bmp),
        "webp": bytes(webp),
        "gif": KINDS["gif"]()[:6] + struct.pack("<HH", SIDE, SIDE) + KINDS["gif"]()[10:],
        "ppm": b"P6 # large\n%d %d\n255\n" % (SIDE, SIDE) + bytes(90),
        "tiff": saved(picture(), "TIFF")
        .replace(struct.pack("<HHII", 0x0100, 4, 1, SIZE[1]), struct.pack("<HHII", 0x0100, 4, 1, SIDE))
        .replace(struct.pack("<HHII", 0x0101, 4, 1, SIZE[0]), struct.pack("<HHII", 0x0101, 4, 1, SIDE)),
    }


@pytest.mark.parametrize("kind", huge())
def test_the_size_is_looked_at_before_anything_is_decoded(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "huge"
    file.write_bytes(huge()[kind])
    with pytest.raises(UnreadablePictureError, match=r"huge: has 30000 x 30000 px, 900 megapixels .* 256"):
        read_picture(file)


def test_the_limit_can_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    megapixels = SIZE[0] * SIZE[1] / 1e6
    for kind in FLAGGED:
        content = FLAGGED[kind](6)
        assert decode_picture(content, kind, most_megapixels=megapixels).size
        with pytest.raises(UnreadablePictureError, match="megapixels"):
            decode_picture(content, kind, most_megapixels=megapixels / 1.01)
    monkeypatch.setenv("NAS_MOST_MEGAPIXELS", "0.0001")
    with pytest.raises(UnreadablePictureError, match="NAS_MOST_MEGAPIXELS allows more"):
        decode_picture(JPEG, "it")
    monkeypatch.setenv("NAS_MOST_MEGAPIXELS", "many")
    with pytest.raises(UserError, match="NAS_MOST_MEGAPIXELS=many"):
        decode_picture(JPEG, "it")


def test_pixels_of_no_known_range_are_refused() -> None:
    for depth in (np.float32, np.float64, np.int32):
        content = cv2.imencode(".tiff", np.full((*SIZE, 3), 7, depth))[1].tobytes()
        with pytest.raises(UnreadablePictureError, match="8 or 16 bits"):
            decode_picture(content, "it")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"no picture at all", "not an image"),
        (b"\xff\xd8\xff\xd9", "not an image"),
        (b"II*\0", "cut short"),
        (b"II+\0" + b"\xff" * 40, "not an image|cut short"),
        (b"BM" + bytes(60), "not an image"),
        (b"\x89PNG\r\n\x1a\n", "cut short"),
        (b"RIFF\x04\0\0\0WEBP", "cut short"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
    ],
)
def test_no_picture_says_why(content: bytes, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "it.jpg"
    file.write_bytes(content)
    with pytest.raises(UnreadablePictureError, match=f"it.jpg: .*({reason})"):
        read_picture(file)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadablePictureError, match=r"none.png: the file is missing") as caught:
        read_picture(tmp_path / "none.png")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.path, copy.reason) == (
        str(caught.value),
        tmp_path / "none.png",
        "the file is missing",
    )
    with pytest.raises(UnreadablePictureError, match="the file is missing"):
        read_picture(tmp_path / ("long" * 100))
    with pytest.raises(UnreadablePictureError, match="this is no file"):
        read_picture(tmp_path)
