"""Things that stand between the camera and the people."""

import cv2
import numpy as np

from nas.arrays import Flags, Floats, Pixels
from nas.demo.people.backdrop import muted
from nas.demo.people.draw import clear_marks, marks, to_fine

_MARK = 1


def paint_occluder(canvas: Pixels, box: tuple[float, float, float, float], rng: np.random.Generator) -> Flags:
    """Paint one thing over part of a person.

    Args:
        canvas: [H, W, 4] the fine canvas; the fourth channel is used up.
        box: x0, y0, x1, y1 of the person (image px).
        rng: what is drawn.

    Returns:
        [H, W] bool, where it was painted.
    """
    corners = to_fine(np.array(box, dtype=np.float64).reshape(2, 2))
    (x0, y0), (x1, y1) = corners
    size = corners[1] - corners[0]
    colour = muted(rng) if rng.random() < 0.5 else rng.uniform(20, 235, 3)
    clear_marks(canvas)
    kind = rng.choice(["table", "pole", "leaves", "crate"], p=[0.35, 0.2, 0.2, 0.25])
    if kind == "table":
        top = y1 - rng.uniform(0.12, 0.42) * size[1]
        left, right = x0 - rng.uniform(0.0, 0.8) * size[0], x1 + rng.uniform(0.0, 0.8) * size[0]
        lip = rng.uniform(0.03, 0.08) * size[1]
        _polygon(
            canvas,
            [(left, top), (right, top), (right, canvas.shape[0]), (left, canvas.shape[0])],
            0.75 * colour,
        )
        _polygon(
            canvas, [(left - 8, top - lip), (right + 8, top - lip), (right + 8, top), (left - 8, top)], colour
        )
    elif kind == "pole":
        x, lean = rng.uniform(x0, x1), rng.normal(0, 20)
        half = rng.uniform(0.02, 0.055) * max(size)
        height = canvas.shape[0]
        for edge, shade in ((half, 0.8), (0.5 * half, 1.0)):
            _polygon(
                canvas,
                [(x - edge, 0), (x + edge, 0), (x + lean + edge, height), (x + lean - edge, height)],
                shade * colour,
            )
    elif kind == "leaves":
        centre = np.array([rng.uniform(x0, x1), rng.uniform(y0 + 0.4 * size[1], y1)])
        green = np.array([70.0, 112, 50])
        for _ in range(22):
            x, y = centre + rng.normal(0, 0.09, 2) * max(size)
            axes = (int(0.025 * max(size) * rng.uniform(0.6, 2)) + 2, int(0.02 * max(size)) + 2)
            leaf = (*np.clip(green * rng.uniform(0.5, 1.5), 0, 255).tolist(), _MARK)
            cv2.ellipse(canvas, (int(x), int(y)), axes, rng.uniform(0, 180), 0, 360, leaf, cv2.FILLED)
    else:
        x, y = rng.uniform(x0, x1), rng.uniform(y0 + 0.3 * size[1], y1)
        half = rng.uniform(0.08, 0.2, 2) * max(size)
        turned = cv2.boxPoints(((x, y), (2 * half[0], 2 * half[1]), float(rng.normal(0, 12))))
        _polygon(canvas, turned, colour)
        _polygon(canvas, (turned - (x, y)) * 0.8 + (x, y), 0.85 * colour)
    return np.asarray(marks(canvas) != 0)


def _polygon(canvas: Pixels, corners: object, colour: Floats) -> None:
    points = np.rint(np.asarray(corners, dtype=np.float64)).astype(np.int32)
    cv2.fillConvexPoly(canvas, points, (*np.clip(colour, 0, 255).tolist(), _MARK), cv2.LINE_8)
