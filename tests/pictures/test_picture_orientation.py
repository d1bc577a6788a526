"""Pictures are turned as their flag says, as other tools do; or left as they are stored."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from picture_files import FLAGGED, JPEG, KINDS, SIZE, scene
from PIL import Image, ImageOps

from nas.pictures import decode_picture, picture_header, read_picture


@pytest.mark.parametrize("flag", range(1, 9))
@pytest.mark.parametrize("kind", FLAGGED)
def test_all_flags_are_followed_as_pillow_follows_them(kind: str, flag: int, tmp_path: Path) -> None:
    file = tmp_path / "picture"
    file.write_bytes(FLAGGED[kind](flag))
    with Image.open(file) as image:
        image.load()
        stored, turned = np.asarray(image), np.asarray(ImageOps.exif_transpose(image))
    # Pillow turns TIFF files while it loads them.
    stored = scene() if kind != "jpeg" else stored
    assert turned.shape[:2] == (SIZE if flag < 5 else SIZE[::-1])
    tolerance = 3 if kind == "jpeg" else 0
    np.testing.assert_allclose(read_picture(file).astype(int), turned, atol=tolerance)
    np.testing.assert_allclose(read_picture(file, orientation="stored").astype(int), stored, atol=tolerance)
    header = picture_header(file.read_bytes(), file)
    assert (header.flag, header.size, header.turned_size) == (flag, SIZE, turned.shape[:2])


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x09\0\0",
        b"Exif\0\0XX",
    ],
)
def test_a_flag_that_makes_no_sense_is_none(exif: bytes) -> None:
    flagged = JPEG[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + JPEG[2:]
    np.testing.assert_array_equal(decode_picture(flagged, "it"), decode_picture(JPEG, "it"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_looks_as_in_pillow(kind: str) -> None:
    content = KINDS[kind]()
    pixels = decode_picture(content, kind)
    image = Image.open(BytesIO(content))
    deep = image.mode == "I;16"
    image = ImageOps.exif_transpose(image)
    expected = np.asarray(image) >> 8 if deep else np.asarray(image.convert("RGB"))
    expected = np.broadcast_to(expected[..., None], (*expected.shape, 3)) if deep else expected
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.shape == expected.shape
    difference = np.abs(pixels.astype(int) - expected)
    assert difference.max() <= 8
    assert difference.mean() < 1.5
