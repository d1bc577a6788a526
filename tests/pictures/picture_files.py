"""Picture files of many kinds, written by Pillow and OpenCV."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from PIL import Image

SIZE = (24, 40)
"""(h, w) as stored."""

FLAG = 0x0112


def scene(seed: int = 0, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A smooth RGB picture that no turn or mirror leaves as it is."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)


def saved(image: Image.Image, kind: str, flag: int = 1, **options: Any) -> bytes:
    """A file of a kind, with an orientation flag unless it is 1."""
    if flag != 1:
        exif = Image.Exif()
        exif[FLAG] = flag
        options["exif"] = exif
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def picture(mode: str = "RGB", seed: int = 0, size: tuple[int, int] = SIZE) -> Image.Image:
    """The scene in one of Pillow's colour modes; with alpha, where there is one."""
    image = Image.fromarray(scene(seed, size))
    if mode in ("RGBA", "LA"):
        image = image.convert(mode)
        image.putalpha(Image.fromarray(scene(seed + 1, size)[..., 0]))
        return image
    return image.convert(mode)


def thumbnailed(jpeg: bytes) -> bytes:
    """A JPEG with another, whole one in a segment before its own data, as EXIF thumbnails are."""
    small = saved(picture(seed=9, size=(8, 8)), "JPEG")
    segment = b"\xff\xe1" + (len(small) + 8).to_bytes(2, "big") + b"Thumb\0" + small
    return jpeg[:2] + segment + jpeg[2:]


def deep(kind: str) -> bytes:
    """A file of 16 bits a channel."""
    pixels = scene()[..., ::-1].astype(np.uint16) * 257
    return cv2.imencode(kind, pixels + np.arange(SIZE[1], dtype=np.uint16)[None, :, None] % 2)[1].tobytes()


def film(count: int = 40_000) -> bytes:
    """What phones append: boxes of a film, here of noise with all the markers of a JPEG."""
    noise = np.random.default_rng(3).integers(0, 256, count, np.uint8).tobytes()
    return b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + noise + b"\xff\xd8\xff\xd9"


JPEG = saved(picture(), "JPEG", quality=90)

KINDS: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: JPEG,
    "progressive jpeg": lambda: saved(picture(), "JPEG", progressive=True),
    "jpeg in parts": lambda: saved(picture(size=(64, 48)), "JPEG", restart_marker_rows=1),
    "jpeg with a thumbnail": lambda: thumbnailed(JPEG),
    "jpeg with padding": lambda: JPEG + bytes(40_000),
    "jpeg with a film": lambda: saved(picture(), "JPEG", 6) + film(),
    "several jpegs": lambda: saved(
        picture(), "MPO", save_all=True, append_images=[picture(seed=5), picture(seed=6)]
    ),
    "grey jpeg": lambda: saved(picture("L"), "JPEG"),
    "cmyk jpeg": lambda: saved(picture("CMYK"), "JPEG", 8),
    "grey png": lambda: saved(picture("L"), "PNG", 6),
    "two-coloured png": lambda: saved(picture("1"), "PNG"),
    "palette png": lambda: saved(picture("P"), "PNG"),
    "transparent palette png": lambda: saved(picture("P"), "PNG", transparency=3),
    "transparent png": lambda: saved(picture("RGBA"), "PNG", 5),
    "transparent grey png": lambda: saved(picture("LA"), "PNG"),
    "deep png": lambda: deep(".png"),
    "deep grey png": lambda: saved(picture("I;16"), "PNG"),
    "png with a film": lambda: saved(picture(), "PNG") + film(),
    "lossy webp": lambda: saved(picture(), "WEBP"),
    "transparent webp": lambda: saved(picture("RGBA"), "WEBP", lossless=True),
    "bmp": lambda: saved(picture(), "BMP"),
    "palette bmp": lambda: saved(picture("P"), "BMP"),
    "tiff": lambda: saved(picture(), "TIFF"),
    "packed tiff": lambda: saved(picture(), "TIFF", 6, compression="tiff_lzw"),
    "grey tiff": lambda: saved(picture("L"), "TIFF"),
    "deep tiff": lambda: deep(".tiff"),
    "gif": lambda: saved(picture("P"), "GIF"),
    "ppm": lambda: saved(picture(), "PPM"),
    "pgm": lambda: saved(picture("L"), "PPM"),
}

FLAGGED: dict[str, Callable[[int], bytes]] = {
    "jpeg": lambda flag: saved(picture(), "JPEG", flag, quality=95, subsampling=0),
    "png": lambda flag: saved(picture(), "PNG", flag),
    "webp": lambda flag: saved(picture(), "WEBP", flag, lossless=True),
    "tiff": lambda flag: saved(picture(), "TIFF", flag),
}
