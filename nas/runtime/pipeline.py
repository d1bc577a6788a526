"""From an image to poses in its pixels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas.codecs import Poses
from nas.codecs.affine import (
    Affine,
    apply_affine,
    box_affine,
    crop_affine,
    image_affine,
    image_box,
    invert,
    turned_scale,
    warp_image,
)
from nas.errors import UserError
from nas.pictures import read_picture
from nas.runtime.model import PoseModel

FARTHEST_BOX = 1e6
"""Pixels from the image, beyond any that can be read."""

_BATCH = 32
"""Crops that are made at once, which bounds the memory that an image of many people takes."""


class PosePipeline:
    """Warp, run, group, map back.

    Args:
        model: an exported network, or any other `PoseModel`.
        padding: how much given boxes are grown before a crop network sees them.
    """

    def __init__(self, model: PoseModel, *, padding: float = 1.25) -> None:
        self.model = model
        self.padding = padding
        self._codec = model.codec

    def __call__(self, image: NDArray[np.uint8] | Path | str, boxes: ArrayLike | None = None) -> Poses:
        """The poses in an image, in its pixels.

        Args:
            image: RGB [H, W, 3], or a file.
            boxes: [N, 4] x0, y0, x1, y1 (px) of people, for a crop network; it answers each with one pose at
                most. Left out, the whole image is taken for one person's crop.

        Raises:
            UserError: the file cannot be read, a box has no extent, or boxes are given to a network for whole
                images.
        """
        pixels = image if isinstance(image, np.ndarray) else read_picture(Path(image))
        found = self.by_box(pixels, boxes)
        if not found:
            return Poses(np.zeros((0, len(self.model.skeleton.keypoints), 3)), np.zeros(0))
        return Poses(
            np.concatenate([poses.keypoints for poses in found]),
            np.concatenate([poses.scores for poses in found]),
        )

    def by_box(
        self,
        pixels: NDArray[np.uint8],
        boxes: ArrayLike | None = None,
        *,
        rotation: float = 0.0,
        flip: bool = False,
    ) -> list[Poses]:
        """The poses of every box, or of the whole image alone, in the image's pixels.

        Args:
            pixels: RGB [H, W, 3].
            boxes: as above.
            rotation: degrees by which the network sees its input turned, clockwise; a whole image is made
                smaller, so that its corners stay in sight.
            flip: whether the network sees it mirrored. A joint has the name that it has in the image.

        Raises:
            UserError: as above.
        """
        affines = self._affines(pixels.shape[:2], boxes, rotation=rotation, flip=flip)
        mirrored = list(self.model.skeleton.flip_index)
        found: list[Poses] = []
        for start in range(0, len(affines), _BATCH):
            part = affines[start : start + _BATCH]
            for poses, affine in zip(self._find(pixels, part), part, strict=True):
                keypoints = poses.keypoints[:, mirrored] if flip else poses.keypoints
                found.append(Poses(apply_affine(keypoints, invert(affine)), poses.scores))
        return found

    def _find(self, pixels: NDArray[np.uint8], affines: Sequence[Affine]) -> list[Poses]:
        inputs = np.stack([warp_image(pixels, affine, self.model.resolution) for affine in affines])
        return [self._codec.group(candidates) for candidates in self.model.candidates(inputs)]

    def _affines(
        self, size: tuple[int, int], boxes: ArrayLike | None, *, rotation: float, flip: bool
    ) -> list[Affine]:
        resolution = self.model.resolution
        if self.model.task == "image":
            if boxes is not None:
                raise UserError("this network finds people by itself in whole images: give it no boxes")
            scale = turned_scale(size, resolution, rotation)
            return [image_affine(size, resolution, scale=scale, rotation=rotation, flip=flip)]
        if boxes is None:
            return [box_affine(image_box(size), resolution, rotation=rotation, flip=flip)]
        return [
            crop_affine(box, resolution, self.padding, rotation=rotation, flip=flip)
            for box in _checked(boxes)
        ]


def _checked(boxes: ArrayLike) -> NDArray[np.float64]:
    """Boxes [N, 4] as they were given. Raises UserError for one without extent, or far beyond any image."""
    given = np.asarray(boxes, np.float64).reshape(-1, 4)
    for number, box in enumerate(given):
        if not (np.abs(box) < FARTHEST_BOX).all() or (box[2:] <= box[:2]).all():
            raise UserError(f"box {number} has no extent, or none within reason: {box.tolist()}")
    return given
