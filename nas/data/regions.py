"""Regions of an image in which the loss must not count: crowds and people without labels."""

import cv2
import numpy as np
from numpy.typing import NDArray

from nas.arrays import Flags, Floats, Pixels
from nas.coco.segmentation import RunLengths
from nas.codecs.affine import Affine, apply_affine, warp_mask
from nas.data.annotations import Annotations


def loss_mask(
    annotations: Annotations, image: int, affine: Affine, resolution: tuple[int, int]
) -> Flags | None:
    """Where the loss of a whole-image task counts.

    Left out are crowds, people of whom nothing is labelled and, in a set that is not `complete`, all that
    lies outside the labelled people's boxes. A region without a segmentation is its box.

    Args:
        annotations: the data set.
        image: the image's position.
        affine: [2, 3] from image px to input px.
        resolution: the input's (h, w).

    Returns:
        [h, w], True where the loss counts; None where it counts everywhere.
    """
    people, rows = annotations.people, annotations.people_of(image)
    labelled = people.labelled[rows]
    if labelled.all() and annotations.complete:
        return None
    counts = np.full(resolution, annotations.complete, np.uint8)
    if not annotations.complete:
        for box in people.boxes[rows][labelled]:
            _fill(counts, _corners(box), affine, value=1)
    for row in np.arange(rows.start, rows.stop)[~labelled]:
        shape = people.segmentations[row]
        if shape is None:
            _fill(counts, _corners(people.boxes[row]), affine, value=0)
        elif isinstance(shape, RunLengths):
            counts[warp_mask(shape.mask(), affine, resolution, outside=False)] = 0
        else:
            for outline in shape.outlines:
                # COCO's polygons are continuous: a pixel's centre lies at its index plus a half.
                _fill(counts, outline - 0.5, affine, value=0)
    return counts.astype(np.bool_)


def joints_inside(keypoints: NDArray[np.floating], resolution: tuple[int, int]) -> Flags:
    """[...] which of the keypoints [..., 3] are labelled and lie in an input (h, w)."""
    points, (height, width) = keypoints[..., :2], resolution
    inside = (points >= -0.5) & (points < (width - 0.5, height - 0.5))
    return np.asarray(inside.all(-1) & (keypoints[..., 2] > 0), np.bool_)


def uncount(mask: Flags, boxes: NDArray[np.floating]) -> None:
    """Take boxes [P, 4] (px) out of where the loss counts [H, W], in place."""
    for x0, y0, x1, y1 in np.maximum(np.rint(boxes + 0.5), 0).astype(int).tolist():
        mask[y0:y1, x0:x1] = False


def _corners(box: Floats) -> Floats:
    x0, y0, x1, y1 = box
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def _fill(canvas: Pixels, polygon: Floats, affine: Affine, *, value: int) -> None:
    points = np.rint(apply_affine(polygon, affine)).clip(-(2**14), 2**14).astype(np.int32)
    cv2.fillPoly(canvas, [points], value)
