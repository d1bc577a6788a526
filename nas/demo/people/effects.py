"""What a camera adds: uneven light, colour cast, blur, noise."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from nas.arrays import Pixels

_GRAIN = 96  # px that a crop of the noise may shift


def develop(image: Pixels, rng: np.random.Generator) -> Pixels:
    """[H, W, 3] the image as a mediocre camera takes it; geometry is untouched."""
    if rng.random() < 0.5:
        image = _uneven(image, rng)
    image = _tone(image, rng)
    blur = rng.random()
    if blur < 0.3:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.0))
    elif blur < 0.36:
        image = _shake(image, rng)
    if rng.random() < 0.6:
        image = _noisy(image, rng.gamma(2.0, 2.2), rng)
    return image


def _uneven(image: Pixels, rng: np.random.Generator) -> Pixels:
    h, w = image.shape[:2]
    gain = rng.uniform(0.75, 1.25, (2, 3)).astype(np.float32)
    smooth = cv2.resize(gain, (w, h), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.multiply(image, cv2.merge([smooth] * 3), dtype=cv2.CV_8U))


def _tone(image: Pixels, rng: np.random.Generator) -> Pixels:
    ramp = np.linspace(0, 1, 256)[:, None] ** rng.uniform(0.7, 1.15)
    gain, lift = 1 + rng.normal(0, 0.05, 3), rng.uniform(-12, 22)
    contrast = rng.uniform(0.8, 1.05)
    table = np.clip(ramp * 255 * contrast * gain + lift, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table[None]))


def _shake(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Motion blur about the pixel, so that nothing moves."""
    size = int(rng.choice([3, 5]))
    kernel = np.zeros((size, size), dtype=np.float32)
    middle = size // 2
    angle = rng.uniform(0, np.pi)
    for step in range(-middle, middle + 1):
        kernel[middle + round(step * np.sin(angle)), middle + round(step * np.cos(angle))] = 1
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()))


def _noisy(image: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    h, w = image.shape[:2]
    top, left = rng.integers(0, _GRAIN, 2)
    grain = _grain(h + _GRAIN, w + _GRAIN)[top : top + h, left : left + w]
    return np.asarray(
        cv2.scaleAdd(grain, min(sigma, 14.0), image.astype(np.float32)).clip(0, 255).astype(np.uint8)
    )


@cache
def _grain(h: int, w: int) -> NDArray[np.float32]:
    """Noise drawn once: fresh noise for every image would take longer than the people."""
    rng = np.random.default_rng(0)
    luminance = rng.standard_normal((h, w, 1), dtype=np.float32)
    return luminance * 0.85 + 0.5 * rng.standard_normal((h, w, 3), dtype=np.float32)
