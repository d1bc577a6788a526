"""Small pictures of what a check found: the image, its box and joints, also where they lie outside."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from nas.arrays import Floats, Pixels
from nas.data.check_report import ExamplePicture
from nas.errors import UserError
from nas.pictures import Orientation, read_picture

SIDE = 260
"""Longer side of a picture in px, border included."""

REACH = 0.6
"""So much of an image's side is shown beyond it at most, where labels lie outside."""

_BOX = (40, 120, 255)
_VISIBLE = (40, 200, 60)
_OCCLUDED = (235, 160, 20)
_STRESSED = (230, 30, 30)
_OUTSIDE = (225, 225, 225)


def draw(picture: ExamplePicture, orientation: Orientation = "turned") -> bytes | None:
    """A JPEG of the image with its people; None where the image cannot be decoded."""
    try:
        pixels = read_picture(picture.file, orientation=orientation)
    except UserError:
        return None
    height, width = pixels.shape[:2]
    points = [point for person in picture.people for point in _points(person)]
    left, top, right, bottom = _view(points, width, height)
    scale = min(1.0, SIDE / max(right - left, bottom - top))
    sides = (max(1, round((bottom - top) * scale)), max(1, round((right - left) * scale)))
    canvas = np.full((*sides, 3), _OUTSIDE, np.uint8)
    warp = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    x, y = round(-left * scale), round(-top * scale)
    part = canvas[y : y + size[1], x : x + size[0]]
    part[:] = small[: part.shape[0], : part.shape[1]]
    for person in picture.people:
        _draw_person(canvas, person, warp, picture.joints)
    _, encoded = cv2.imencode(".jpg", canvas[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])
    return bytes(encoded)


def _view(points: list[tuple[float, float]], width: int, height: int) -> tuple[float, float, float, float]:
    """What to show: the image, and beyond it what lies outside, within reason."""
    x = [0.0, float(width), *(px + np.sign(px) * 6 for px, _ in points)]
    y = [0.0, float(height), *(py + np.sign(py) * 6 for _, py in points)]
    return (
        max(min(x), -REACH * width),
        max(min(y), -REACH * height),
        min(max(max(x), width), (1 + REACH) * width) if max(x) > width + 6 else float(width),
        min(max(max(y), height), (1 + REACH) * height) if max(y) > height + 6 else float(height),
    )


def _draw_person(canvas: Pixels, person: Mapping[str, Any], warp: Floats, stressed: tuple[int, ...]) -> None:
    box = _box(person)
    if box is not None:
        x, y, width, height = box
        cv2.rectangle(canvas, _at(warp, x, y), _at(warp, x + width, y + height), _BOX, 1, cv2.LINE_AA)
    for index, (x, y, v) in enumerate(_joints(person)):
        if v > 0 or index in stressed:
            colour = _STRESSED if index in stressed else _VISIBLE if v > 1 else _OCCLUDED
            radius = 4 if index in stressed else 2
            cv2.circle(canvas, _at(warp, x, y), radius + 1, (255, 255, 255), -1, cv2.LINE_AA)
            cv2.circle(canvas, _at(warp, x, y), radius, colour, -1, cv2.LINE_AA)


def _at(warp: Floats, x: float, y: float) -> tuple[int, int]:
    column, row = np.clip(warp @ (x, y, 1), -(2**14), 2**14).tolist()
    return round(column), round(row)


def _points(person: Mapping[str, Any]) -> list[tuple[float, float]]:
    """All that should be seen of a person."""
    points = [(x, y) for x, y, v in _joints(person) if v > 0]
    box = _box(person)
    return points if box is None else [*points, (box[0], box[1]), (box[0] + box[2], box[1] + box[3])]


def _box(person: Mapping[str, Any]) -> list[float] | None:
    values = _finite(person.get("bbox"))
    return values if values is not None and len(values) == 4 else None


def _joints(person: Mapping[str, Any]) -> list[tuple[float, float, float]]:
    values = _finite(person.get("keypoints")) or []
    return list(zip(values[::3], values[1::3], values[2::3], strict=False))


def _finite(values: Any) -> list[float] | None:
    try:
        numbers = np.array(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    return numbers.tolist() if numbers.ndim == 1 and np.isfinite(numbers).all() else None
