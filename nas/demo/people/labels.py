"""What an annotator would write down about a painted person."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from nas.arrays import Flags, Floats
from nas.demo.people.draw import SUPERSAMPLING, Figure, to_fine
from nas.space.skeleton import Skeleton

OUTSIDE, OCCLUDED, VISIBLE = 0, 1, 2
_REACH = 2  # fine px around a joint that are looked at
_MOSTLY = 0.5


@dataclass(frozen=True)
class Joint:
    """A labelled point after projection.

    Args:
        pixel: x, y (px).
        z: its distance towards the camera (m).
        depth: how far the surface may lie in front of it (m).
    """

    pixel: tuple[float, float]
    z: float
    depth: float


def visibility(joint: Joint, figure: Figure, covered: Flags, size: tuple[int, int]) -> int:
    """COCO's flag: 2 seen, 1 hidden by the own body or where `covered` ([H, W], fine) is set, 0 outside."""
    h, w = size
    x, y = joint.pixel
    if not (-0.5 <= x <= w - 0.5 and -0.5 <= y <= h - 0.5):
        return OUTSIDE
    column, row = (round(float(v)) for v in to_fine(np.array(joint.pixel)))
    near = slice(max(0, row - _REACH), row + _REACH + 1), slice(max(0, column - _REACH), column + _REACH + 1)
    if np.count_nonzero(covered[near]) > _MOSTLY * covered[near].size:
        return OCCLUDED
    surface = figure.depth[near]
    own = surface[surface > 0]
    if own.size == 0:
        return OCCLUDED if figure.painted[row, column] else VISIBLE
    return VISIBLE if float(own.min()) <= figure.code(joint.z + joint.depth) else OCCLUDED


def keypoints_of(
    joints: dict[str, Joint],
    skeleton: Skeleton,
    figure: Figure,
    covered: Flags,
    size: tuple[int, int],
) -> Floats:
    """[K, 3] x, y (px), v; zeros for joints outside the image."""
    rows = np.zeros((len(skeleton), 3))
    for row, name in zip(rows, skeleton.keypoints, strict=True):
        flag = visibility(joints[name], figure, covered, size)
        if flag != OUTSIDE:
            row[:] = (*joints[name].pixel, flag)
    return rows


def annotation(keypoints: Floats, figure: Figure) -> dict[str, Any]:
    """The COCO fields of a person, but for ids; the silhouette counts whole, whatever stands before it."""
    mask = _averaged(figure.silhouette)
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = [0, 0, 0, 0]
    if len(xs):
        box = [int(xs[0]), int(ys[0]), int(xs[-1] - xs[0] + 1), int(ys[-1] - ys[0] + 1)]
    return {
        "iscrowd": 0,
        "bbox": box,
        "area": int(mask.sum()),
        "num_keypoints": int((keypoints[:, 2] > 0).sum()),
        "keypoints": [
            v for x, y, flag in keypoints for v in (round(float(x), 2), round(float(y), 2), int(flag))
        ],
        "segmentation": _polygons(mask),
    }


def _averaged(fine: Flags) -> Flags:
    h, w = fine.shape
    share = cv2.resize(
        fine.astype(np.uint8) * 255, (w // SUPERSAMPLING, h // SUPERSAMPLING), interpolation=cv2.INTER_AREA
    )
    return np.asarray(share > 127)


def _polygons(mask: Flags) -> list[list[int]]:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    outlines = (cv2.approxPolyDP(contour, 0.8, True) for contour in contours)
    return [outline.ravel().tolist() for outline in outlines if len(outline) >= 3]
