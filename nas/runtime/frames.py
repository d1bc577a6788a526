"""Images as they come, of a camera above all: channels in any order that is said, colours changed late."""

from dataclasses import dataclass
from math import log2
from typing import Literal, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from nas.arrays import Flags, Floats, Ints, Pixels
from nas.codecs import Poses
from nas.codecs.affine import (
    BORDER_COLOUR,
    WORTH_AVERAGING,
    Affine,
    affine_scale,
    apply_affine,
    invert,
    rescale_source,
    warp_image,
)
from nas.errors import UserError
from nas.runtime.poses import every_row

Channels = Literal["rgb", "bgr", "grey", "rgba", "bgra"]
"""What an array's channels are, in order; OpenCV's are BGR."""

_COUNTS = {"rgb": 3, "bgr": 3, "grey": 1, "rgba": 4, "bgra": 4}
_TO_THREE = {"grey": cv2.COLOR_GRAY2RGB, "rgba": cv2.COLOR_RGBA2RGB, "bgra": cv2.COLOR_BGRA2BGR}

_BEYOND = 2.0
"""Averaged pixels around what a crop shows that interpolation may look at."""


@dataclass(frozen=True)
class ColourFrame:
    """An image of three channels.

    Args:
        pixels: [H, W, 3].
        bgr: whether they lie the other way round.
    """

    pixels: Pixels
    bgr: bool = False

    @classmethod
    def of(cls, image: Pixels, colour: Channels = "rgb") -> Self:
        """The frame of an array [H, W, channels], of grey ones [H, W] as well; transparency is left out.

        Raises UserError where the array is not of these channels, or not of bytes.
        """
        if image.ndim == 4:
            raise UserError(f"an array of the shape {list(image.shape)} is several images: use `batch`")
        channels = image.shape[2] if image.ndim == 3 else 1 if image.ndim == 2 else 0
        if colour not in _COUNTS or channels != _COUNTS[colour] or not image.size:
            raise UserError(
                f"an array of the shape {list(image.shape)} is no {colour} image: say by `colour` what its "
                f"channels are ({', '.join(_COUNTS)})"
            )
        if image.dtype != np.uint8:
            raise UserError(f"an image of {image.dtype}: bytes from 0 to 255 (uint8) are needed")
        if colour in _TO_THREE:
            image = np.asarray(cv2.cvtColor(image, _TO_THREE[colour]), np.uint8)
        return cls(image, bgr=colour.startswith("bgr"))

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) in px."""
        height, width = self.pixels.shape[:2]
        return height, width

    def through(
        self,
        affine: Affine,
        resolution: tuple[int, int],
        *,
        border: tuple[float, ...] = BORDER_COLOUR,
        quick: bool = False,
        out: Pixels | None = None,
    ) -> Pixels:
        """What an input (h, w) shows of the frame: RGB, with `border` (RGB) outside; see `warp_image`.

        `quick`, only the part of a large image that is shown is averaged, over squares whose sides are powers
        of two: where pictures are smooth, to a grey level or two the same. `out` is written to.
        """
        pixels, affine = _part(self.pixels, affine, resolution) if quick else (self.pixels, affine)
        if not self.bgr:
            return warp_image(pixels, affine, resolution, border=border, out=out)
        shown = warp_image(pixels, affine, resolution, border=border[::-1], out=out)
        return np.asarray(cv2.cvtColor(shown, cv2.COLOR_BGR2RGB, dst=shown), np.uint8)


@dataclass(frozen=True)
class FramePoses:
    """The people of a frame.

    Args:
        poses: in its pixels.
        boxes: [N, 4] x0, y0, x1, y1 (px): where each was looked for, or else what the head says, or else
            drawn around its keypoints.
        ids: [N] whose pose it is, the same over frames, from 1; 0 where nobody is tracked.
        detected: whether a detector was asked, or the whole frame was looked at.
    """

    poses: Poses
    boxes: Floats
    ids: Ints
    detected: bool = True

    def __len__(self) -> int:
        return len(self.poses)

    def at(self, rows: NDArray[np.integer] | Flags) -> "FramePoses":
        """Some of the people, in the order of these rows."""
        if every_row(rows, len(self)):
            return self
        return FramePoses(self.poses.at(rows), self.boxes[rows], self.ids[rows], self.detected)


def _part(pixels: Pixels, affine: Affine, resolution: tuple[int, int]) -> tuple[Pixels, Affine]:
    """The part of an image that is seen through an affine, averaged, and the affine from there on.

    Halved again and again, which OpenCV does many times faster than any other averaging; what is left to
    shrink, by less than two, interpolation does as ever. The whole image where nothing needs averaging, or
    nothing of it is seen.
    """
    scale = affine_scale(affine)
    if scale >= WORTH_AVERAGING:
        return pixels, affine
    height, width = resolution
    ends = np.array([[-0.5, -0.5], [width - 0.5, -0.5], [-0.5, height - 0.5], [width - 0.5, height - 0.5]])
    corners = apply_affine(ends, invert(affine))[:, :2]
    halvings = int(log2(1 / scale))
    side, beyond = 2**halvings, _BEYOND / scale
    size = np.array(pixels.shape[1::-1])
    start = np.clip(np.floor(corners.min(0) - beyond), 0, size).astype(int)
    end = np.clip(np.ceil(corners.max(0) + beyond) + 1, 0, size).astype(int)
    squares = -(-(end - start) // side)
    if not squares.all():
        return pixels, affine
    start = np.maximum(np.minimum(start, size - squares * side), 0)
    (x0, y0), (x1, y1) = start.tolist(), (start + squares * side).tolist()
    averaged = pixels[y0:y1, x0:x1]
    for _ in range(halvings):
        averaged = _even(averaged)
        rows, columns = averaged.shape[:2]
        averaged = np.asarray(cv2.resize(averaged, (columns // 2, rows // 2), interpolation=cv2.INTER_AREA))
    moved = affine.copy()
    moved[:, 2] += affine[:, :2] @ (x0, y0)
    return averaged, rescale_source(moved, (1 / side, 1 / side))


def _even(pixels: Pixels) -> Pixels:
    """With its last row and column once more where their number is odd: the image ends within a square."""
    rows, columns = pixels.shape[:2]
    if rows % 2 or columns % 2:
        pixels = cv2.copyMakeBorder(pixels, 0, rows % 2, 0, columns % 2, cv2.BORDER_REPLICATE)
    return pixels
