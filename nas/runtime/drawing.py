"""Drawing poses into an image."""

import cv2
import numpy as np
from numpy.typing import NDArray

from nas.codecs import Poses
from nas.space.skeleton import Skeleton

Colour = tuple[int, int, int]

LEFT: Colour = (66, 135, 245)
RIGHT: Colour = (245, 130, 32)
MIDDLE: Colour = (80, 200, 120)
"""RGB of what lies on the person's left, right, and of what joins or is neither."""

MIN_POSE = 0.1
"""Poses of a lower score are left out, unless told otherwise."""

MIN_KEYPOINT = 0.2
"""Keypoints of a lower score are not drawn, unless told otherwise."""

SUBPIXEL_BITS = 4
FARTHEST = 2**15
"""Pixels: OpenCV's coordinates overflow beyond."""


def draw_poses(
    image: NDArray[np.uint8],
    poses: Poses,
    skeleton: Skeleton,
    *,
    min_pose: float = 0.0,
    min_keypoint: float = MIN_KEYPOINT,
) -> NDArray[np.uint8]:
    """A copy of an RGB image [H, W, 3] with limbs and keypoints drawn in.

    Args:
        image: RGB.
        poses: in the image's pixels.
        skeleton: says which keypoints are joined and which are left.
        min_pose: poses of a lower score are not drawn.
        min_keypoint: nor are keypoints of a lower score, and limbs that end there.
    """
    canvas = image.copy()
    thickness = max(1, round(min(image.shape[:2]) / 200))
    colours = _colours(skeleton)
    for keypoints, score in zip(poses.keypoints, poses.scores, strict=True):
        if score >= min_pose:
            _draw_pose(canvas, keypoints, skeleton, colours, thickness, min_keypoint)
    return canvas


def _draw_pose(
    canvas: NDArray[np.uint8],
    keypoints: NDArray[np.floating],
    skeleton: Skeleton,
    colours: list[Colour],
    thickness: int,
    min_keypoint: float,
) -> None:
    shown = np.isfinite(keypoints).all(1) & (keypoints[:, 2] >= min_keypoint)
    xy = np.clip(np.nan_to_num(keypoints[:, :2]), -FARTHEST, FARTHEST)
    points = np.rint(xy * 2**SUBPIXEL_BITS).astype(int).tolist()
    for start, end in skeleton.limb_index:
        if shown[start] and shown[end]:
            colour = colours[start] if colours[start] == colours[end] else MIDDLE
            cv2.line(canvas, points[start], points[end], colour, thickness, cv2.LINE_AA, SUBPIXEL_BITS)
    radius = (thickness + 1) * 2**SUBPIXEL_BITS
    for joint in np.flatnonzero(shown):
        cv2.circle(canvas, points[joint], radius, colours[joint], cv2.FILLED, cv2.LINE_AA, SUBPIXEL_BITS)


def _colours(skeleton: Skeleton) -> list[Colour]:
    colours = [MIDDLE] * len(skeleton.keypoints)
    for left, right in skeleton.flip_pairs:
        colours[skeleton.index(left)], colours[skeleton.index(right)] = LEFT, RIGHT
    return colours
