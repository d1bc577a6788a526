"""The one affine between an image and the network's input.

Points are pixels, the centre of the first pixel is (0, 0); so an image of width W covers -0.5 .. W - 0.5. A
resize by s maps x to (x + 0.5) * s - 0.5 and a flip maps x to W - 1 - x: both are exact on every grid
(Huang et al., "The Devil is in the Details: Delving into Unbiased Data Processing", CVPR 2020).
Affines are [2, 3] float64 and map image pixels to input pixels. Sizes and resolutions are (h, w).
"""

from collections.abc import Sequence
from math import cos, radians, sin, sqrt

import cv2
import numpy as np
from numpy.typing import ArrayLike

from nas.arrays import Flags, Floats, Pixels
from nas.codecs.normalise import MEAN
from nas.codecs.types import FloatArray

Affine = Floats

BORDER_COLOUR = tuple(float(channel) for channel in np.round(MEAN * 255))
"""Fills what lies outside the image: close to zero after normalisation."""

PADDING = 1.25
"""How much boxes are grown before they are cropped."""

WORTH_AVERAGING = 0.5
"""Linear interpolation looks at two pixels: an image that shrinks further is averaged first."""

_CORNERS = [0, 1, 2, 1, 2, 3, 0, 3]
"""Which numbers of a box are x, y of its corners."""


def image_affine(
    size: tuple[int, int],
    resolution: tuple[int, int],
    *,
    scale: float = 1.0,
    rotation: float = 0.0,
    flip: bool = False,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Affine:
    """The whole image of that size (h, w), centred in the input (letterbox); see `box_affine`."""
    box = image_box(size)
    return box_affine(box, resolution, scale=scale, rotation=rotation, flip=flip, shift=shift)


def crop_affine(
    box: ArrayLike,
    resolution: tuple[int, int],
    padding: float = PADDING,
    *,
    scale: float = 1.0,
    rotation: float = 0.0,
    flip: bool = False,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Affine:
    """A box (x0, y0, x1, y1, px) grown `padding` times about its centre; see `box_affine`."""
    if padding <= 0:
        raise ValueError(f"padding must be positive, got {padding}")
    return box_affine(box, resolution, scale=scale / padding, rotation=rotation, flip=flip, shift=shift)


def box_affine(
    box: ArrayLike,
    resolution: tuple[int, int],
    *,
    scale: float = 1.0,
    rotation: float = 0.0,
    flip: bool = False,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Affine:
    """The affine that fits a box into the input, keeping its aspect, box centre on input centre.

    Args:
        box: x0, y0, x1, y1 (image px).
        resolution: input size (h, w).
        scale: enlarges the content about the centre (2 shows half of the box).
        rotation: degrees, clockwise as seen.
        flip: mirrors the finished input left to right, so the result equals the unflipped one mirrored.
        shift: moves the content by these fractions of the input's (width, height), before the flip.

    Raises:
        ValueError: the box has no extent, or the scale is not positive.
    """
    x0, y0, x1, y1 = np.asarray(box, np.float64).tolist()
    height, width = resolution
    longest = max((x1 - x0) / width, (y1 - y0) / height)
    if not (np.isfinite(longest) and longest > 0 and scale > 0):
        raise ValueError(f"a box of extent {x1 - x0:g} x {y1 - y0:g} px cannot be scaled by {scale:g}")
    factor = scale / longest
    angle = radians(rotation)
    cosine, sine = factor * cos(angle), factor * sin(angle)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    target_x, target_y = (width - 1) / 2 + shift[0] * width, (height - 1) / 2 + shift[1] * height
    across = [cosine, -sine, target_x - cosine * x + sine * y]
    if flip:
        across = [-cosine, sine, width - 1 - across[2]]
    return np.array([across, [sine, cosine, target_y - sine * x - cosine * y]])


def turned_scale(size: tuple[int, int], resolution: tuple[int, int], rotation: float) -> float:
    """By how much an image of that size (h, w) has to shrink to be seen whole when turned; at most 1."""
    angle = radians(rotation)
    cosine, sine = abs(cos(angle)), abs(sin(angle))
    (height, width), (rows, columns) = size, resolution
    across, down = width * cosine + height * sine, width * sine + height * cosine
    return min(1.0, max(width / columns, height / rows) / max(across / columns, down / rows))


def image_box(size: tuple[int, int]) -> Floats:
    """The box [4] (x0, y0, x1, y1, px) that an image of that size (h, w) covers."""
    return np.array([-0.5, -0.5, size[1] - 0.5, size[0] - 0.5])


def invert(affine: Affine) -> Affine:
    """The affine from input pixels back to image pixels."""
    (a, b, x), (c, d, y) = affine.tolist()
    rows = [[d, -b, b * y - d * x], [-c, a, c * x - a * y]]
    return np.asarray(np.array(rows) / (a * d - b * c), np.float64)


def apply_affine(points: FloatArray, affine: Affine) -> Floats:
    """Maps points [..., >= 2]: the first two numbers are x, y (px), the others (v, score) are kept."""
    moved = np.array(points, np.float64)
    moved[..., :2] = moved[..., :2] @ affine[:, :2].T + affine[:, 2]
    return moved


def boxes_through(boxes: FloatArray, affine: Affine) -> Floats:
    """The extents [N, 4] of boxes [N, 4] (x0, y0, x1, y1, px) that an affine moves, turns or mirrors."""
    corners = apply_affine(np.asarray(boxes)[:, _CORNERS].reshape(-1, 4, 2), affine)
    return np.concatenate([corners.min(1), corners.max(1)], axis=1)


def affine_scale(affine: Affine) -> float:
    """How much longer lengths become: the square root of the area factor."""
    (a, b, _), (c, d, _) = affine.tolist()
    return sqrt(abs(a * d - b * c))


def rescale_source(affine: Affine, scale: tuple[float, float]) -> Affine:
    """The affine for an image that was resized beforehand by the factors (x, y)."""
    rescaled = affine / (*scale, 1.0)
    rescaled[:, 2] += (rescaled[:, :2] - affine[:, :2]).sum(1) / 2
    return rescaled


def warp_image(
    image: Pixels,
    affine: Affine,
    resolution: tuple[int, int],
    *,
    border: Sequence[float] = BORDER_COLOUR,
    out: Pixels | None = None,
) -> Pixels:
    """An image [H, W, 3] through the affine: [h, w, 3], linear interpolation, `border` outside it.

    With `out` [h, w, 3], contiguous, it is written there.

    An image that shrinks to less than half is averaged over areas first, so that no pixel is passed over.
    """
    scale = affine_scale(affine)
    if scale < WORTH_AVERAGING:
        size = np.array(image.shape[:2])
        height, width = np.maximum(1, np.rint(size * scale)).astype(int).tolist()
        affine = rescale_source(affine, (width / size[1], height / size[0]))
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    height, width = resolution
    warped = cv2.warpAffine(
        image,
        affine,
        (width, height),
        dst=out,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=border,
    )
    return np.asarray(warped, np.uint8)


def warp_mask(mask: Flags, affine: Affine, resolution: tuple[int, int], *, outside: bool = True) -> Flags:
    """A mask [H, W] through the affine: [h, w] of the nearest pixel, `outside` where the image ends."""
    height, width = resolution
    warped = cv2.warpAffine(
        mask.astype(np.uint8),
        affine,
        (width, height),
        flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=int(outside),
    )
    return np.asarray(warped, np.bool_)
