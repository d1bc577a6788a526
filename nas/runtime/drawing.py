"""Drawing poses into an image."""

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from nas.arrays import Pixels
from nas.codecs import Poses
from nas.runtime.frames import ColourFrame, FramePoses
from nas.runtime.poses import MIN_KEYPOINT, pose_boxes

if TYPE_CHECKING:
    from nas.space.skeleton import Skeleton

Colour = tuple[int, ...]

LEFT: Colour = (66, 135, 245)
RIGHT: Colour = (245, 130, 32)
MIDDLE: Colour = (80, 200, 120)
"""RGB of what lies on the person's left, right, and of what joins or is neither."""

SUBPIXEL_BITS = 4
FARTHEST = 2**15
"""Pixels: OpenCV's coordinates overflow beyond."""

_LEAST_OPACITY = 0.4
"""Of a pose of score 0, so that it is seen at all."""


def draw_poses(
    image: Pixels,
    poses: Poses,
    skeleton: "Skeleton",
    *,
    min_pose: float = 0.0,
    min_keypoint: float = MIN_KEYPOINT,
) -> Pixels:
    """A copy of an RGB image [H, W, 3] with limbs and keypoints drawn in.

    Args:
        image: RGB.
        poses: in the image's pixels.
        skeleton: says which keypoints are joined and which are left.
        min_pose: poses of a lower score are not drawn.
        min_keypoint: nor are keypoints of a lower score, and limbs that end there.
    """
    canvas = image.copy()
    pen = _Pen(skeleton, canvas.shape[:2], bgr=False)
    for keypoints, score in zip(poses.keypoints, poses.scores, strict=True):
        if score >= min_pose:
            pen.pose(canvas, keypoints, min_keypoint)
    return canvas


def draw_people(
    frame: ColourFrame,
    people: FramePoses,
    skeleton: "Skeleton",
    *,
    min_keypoint: float = MIN_KEYPOINT,
    boxes: bool = False,
) -> Pixels:
    """A copy of a frame's pixels with its people drawn in: the surer a pose, the less shines through.

    Args:
        frame: RGB or BGR.
        people: in its pixels; those who have an id are called by it.
        skeleton: says which keypoints are joined and which are left.
        min_keypoint: keypoints of a lower score are not drawn, and limbs that end there.
        boxes: whether people's boxes are drawn too.
    """
    canvas = frame.pixels.copy()
    pen = _Pen(skeleton, frame.size, bgr=frame.bgr)
    keypoints = people.poses.keypoints
    around = pose_boxes(keypoints, min_keypoint=min_keypoint)
    rows = zip(keypoints, people.poses.scores, people.boxes, around, people.ids.tolist(), strict=True)
    for points, score, box, extent, number in rows:
        part = _part(canvas, extent)
        before = part.copy()
        pen.pose(canvas, points, min_keypoint)
        opacity = _LEAST_OPACITY + (1 - _LEAST_OPACITY) * float(np.clip(score, 0, 1))
        if part.size:
            part[...] = cv2.addWeighted(part, opacity, before, 1 - opacity, 0)
        if boxes:
            pen.box(canvas, box)
        if number:
            pen.name(canvas, str(number), extent)
    return canvas


class _Pen:
    """Draws into images of one size.

    Args:
        skeleton: of the poses.
        size: (h, w) of the images.
        bgr: whether their channels lie that way round.
    """

    def __init__(self, skeleton: "Skeleton", size: tuple[int, ...], *, bgr: bool) -> None:
        self._limbs = skeleton.limb_index
        order = -1 if bgr else 1
        self._colours = [colour[::order] for colour in joint_colours(skeleton)]
        self._middle = MIDDLE[::order]
        self._thickness = max(1, round(min(size[:2]) / 200))

    def pose(self, canvas: Pixels, keypoints: NDArray[np.floating], min_keypoint: float) -> None:
        """Limbs and keypoints [K, 3]."""
        shown = np.isfinite(keypoints).all(1) & (keypoints[:, 2] >= min_keypoint)
        points = _points(keypoints[:, :2])
        for start, end in self._limbs:
            if shown[start] and shown[end]:
                same = self._colours[start] == self._colours[end]
                colour = self._colours[start] if same else self._middle
                self._line(canvas, points[start], points[end], colour)
        radius = (self._thickness + 1) * 2**SUBPIXEL_BITS
        for joint in np.flatnonzero(shown):
            colour = self._colours[joint]
            cv2.circle(canvas, points[joint], radius, colour, cv2.FILLED, cv2.LINE_AA, SUBPIXEL_BITS)

    def box(self, canvas: Pixels, box: NDArray[np.floating]) -> None:
        """The outline of a box [4]."""
        if np.isfinite(box).all():
            first, last = _points(box.reshape(2, 2))
            cv2.rectangle(canvas, first, last, self._middle, self._thickness, cv2.LINE_AA, SUBPIXEL_BITS)

    def name(self, canvas: Pixels, text: str, box: NDArray[np.floating]) -> None:
        """A word above a box, or in its upper end where it goes up to the image's."""
        if not np.isfinite(box).all():
            return
        scale = 0.5 * (self._thickness + 1)
        height = round(22 * scale)
        x, y = np.clip(np.rint(box[:2]), -FARTHEST, FARTHEST).astype(int).tolist()
        place = max(0, x), max(height, y - self._thickness)
        for colour, thickness in (((0, 0, 0), 3 * self._thickness), ((255, 255, 255), self._thickness)):
            cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thickness, cv2.LINE_AA)

    def _line(self, canvas: Pixels, start: list[int], end: list[int], colour: Colour) -> None:
        cv2.line(canvas, start, end, colour, self._thickness, cv2.LINE_AA, SUBPIXEL_BITS)


def _points(xy: NDArray[np.floating]) -> list[list[int]]:
    """Points [N, 2] (px) as OpenCV takes them: whole numbers of parts of a pixel."""
    near = np.clip(np.nan_to_num(xy), -FARTHEST, FARTHEST)
    points: list[list[int]] = np.rint(near * 2**SUBPIXEL_BITS).astype(int).tolist()
    return points


def _part(canvas: Pixels, box: NDArray[np.floating]) -> Pixels:
    """The part of an image in a box [4], which may be none of it."""
    if not np.isfinite(box).all():
        return canvas[:0]
    sides = np.array(canvas.shape[1::-1] * 2)
    x0, y0, x1, y1 = np.clip(np.rint(box), 0, sides).astype(int).tolist()
    return canvas[y0:y1, x0:x1]


def joint_colours(skeleton: "Skeleton") -> list[Colour]:
    """RGB of every keypoint, by its side."""
    colours = [MIDDLE] * len(skeleton.keypoints)
    for left, right in skeleton.flip_pairs:
        colours[skeleton.index(left)], colours[skeleton.index(right)] = LEFT, RIGHT
    return colours
