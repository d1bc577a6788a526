"""What is cut short is refused, what goes on behind its end is read."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from picture_files import JPEG, KINDS, film, picture, saved, scene, thumbnailed

from nas.pictures import UnreadablePictureError, decode_picture

LARGER = (96, 128)

JPEGS: dict[str, Callable[[], bytes]] = {
    "baseline": lambda: saved(picture(size=LARGER), "JPEG", 3),
    "progressive": lambda: saved(picture(size=LARGER), "JPEG", progressive=True),
    "in parts": lambda: saved(picture(size=LARGER), "JPEG", restart_marker_rows=1),
    "with a thumbnail": lambda: thumbnailed(saved(picture(size=LARGER), "JPEG")),
    "grey": lambda: saved(picture("L", size=LARGER), "JPEG"),
    "cmyk": lambda: saved(picture("CMYK", size=LARGER), "JPEG"),
    "noise": lambda: cv2.imencode(
        ".jpg",
        np.random.default_rng(0).integers(0, 256, (*LARGER, 3), np.uint8),
        [cv2.IMWRITE_JPEG_QUALITY, 99],
    )[1].tobytes(),
}

OTHERS = (
    "deep png",
    "palette png",
    "lossy webp",
    "transparent webp",
    "bmp",
    "tiff",
    "packed tiff",
    "deep tiff",
    "gif",
    "ppm",
)


def cuts(content: bytes, count: int) -> list[int]:
    """Places to cut, more of them near both ends."""
    rng = np.random.default_rng(len(content))
    near = [*range(3, 30), *(len(content) - back for back in range(1, 12))]
    return sorted({*near, *rng.integers(3, len(content), count).tolist()})


@pytest.mark.parametrize("kind", JPEGS)
def test_every_cut_of_a_jpeg_is_refused_and_whole_ones_may_go_on(kind: str) -> None:
    whole = JPEGS[kind]()
    expected = decode_picture(whole, kind)
    for trailer in (b"\0", bytes(5000), film(3000), whole, b"\xff\xd8\xff\xe1\0", b"\xff" * 9):
        np.testing.assert_array_equal(decode_picture(whole + trailer, kind), expected)
    for end in cuts(whole, 60):
        # A whole picture behind little more than a beginning is one that can be read.
        trailers = (b"", bytes(5000), whole) if end > len(whole) // 2 else (b"", bytes(5000))
        for trailer in trailers:
            with pytest.raises(UnreadablePictureError, match=r"cut short|not an image"):
                decode_picture(whole[:end] + trailer, kind)


@pytest.mark.parametrize("kind", ["baseline", "grey", "in parts", "noise"])
def test_an_end_that_was_put_behind_a_cut_deceives_nobody(kind: str) -> None:
    whole = JPEGS[kind]()
    start = whole.index(b"\xff\xda") + 20
    for end in np.random.default_rng(1).integers(start, len(whole) - len(whole) // 5, 20).tolist():
        with pytest.raises(UnreadablePictureError, match="cut short"):
            decode_picture(whole[:end].rstrip(b"\xff") + b"\xff\xd9", kind)


def test_a_whole_picture_with_a_grey_corner_is_whole() -> None:
    pixels = scene(size=LARGER)
    pixels[-40:, -40:] = 128
    for options in ([], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1], [cv2.IMWRITE_JPEG_RST_INTERVAL, 2]):
        content = cv2.imencode(".jpg", pixels, options)[1].tobytes()
        shown = decode_picture(content, "grey")
        assert shown[-1, -1].tolist() == [128, 128, 128]
        assert shown.shape == pixels.shape


@pytest.mark.parametrize("kind", OTHERS)
def test_cuts_of_other_formats_are_refused(kind: str) -> None:
    whole = KINDS[kind]()
    np.testing.assert_array_equal(decode_picture(whole + film(300), kind), decode_picture(whole, kind))
    for end in cuts(whole, 30):
        with pytest.raises(UnreadablePictureError, match=r"cut short|not an image"):
            decode_picture(whole[:end], kind)


def test_the_reason_names_the_cut() -> None:
    for kind, name in (("deep png", "PNG"), ("lossy webp", "WebP"), ("bmp", "BMP"), ("tiff", "TIFF")):
        content = KINDS[kind]()
        with pytest.raises(UnreadablePictureError, match=f"^it: the {name} is cut short$"):
            decode_picture(content[: len(content) * 3 // 4], "it")
    with pytest.raises(UnreadablePictureError, match=r"^it: the JPEG is cut short$"):
        decode_picture(JPEG[:-20], "it")
