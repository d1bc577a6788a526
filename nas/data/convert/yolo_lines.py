"""One person of a YOLO label file: a line of shares of the image, read and checked."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from nas.arrays import Floats
from nas.data.convert.yolo_joints import YoloJoints
from nas.errors import UserError

BEYOND = 0.01
"""Shares this far outside of 0 to 1 are rounding, and are cut; those farther are pixels, or wrong."""

_BOX = 5


@dataclass(frozen=True, eq=False)
class YoloPerson:
    """One person in pixels.

    Args:
        box: x, y, width, height; None where it has no extent.
        keypoints: [K, 3] x, y, v.
        has_joints: False for a line of a class and a box only.
    """

    box: list[float] | None
    keypoints: Floats
    has_joints: bool


def read_numbers(line: str, where: str) -> Floats:
    """The numbers of a line. Raises UserError."""
    fields = line.split()
    try:
        numbers = np.array([float(field) for field in fields])
    except ValueError:
        raise UserError(f"{where} holds something that is no number") from None
    if not np.isfinite(numbers).all():
        raise UserError(f"{where} holds a number that is not finite")
    return numbers


def read_class(numbers: Floats, known: Collection[int], where: str) -> int:
    """The class of a line. Raises UserError for one that is none of those known, if any are."""
    value = float(numbers[0])
    if value != int(value) or value < 0 or (known and int(value) not in known):
        among = f"; 'names' has {len(known)} classes" if known else ""
        raise UserError(f"{where}: {value:g} is no number of a class{among}")
    return int(value)


def read_person(numbers: Floats, joints: YoloJoints, size: tuple[int, int], where: str) -> YoloPerson:
    """The person of a line, in an image of size (h, w). Raises UserError."""
    count = len(joints.skeleton)
    per_joint, rest = divmod(len(numbers) - _BOX, count)
    has_joints = len(numbers) != _BOX
    if has_joints and (rest or per_joint not in ((joints.values,) if joints.values else (2, 3))):
        per = joints.values or "2 or 3"
        outline = " (a class and an outline, as for segmentation?)" if len(numbers) % 2 else ""
        raise UserError(
            f"{where} has {len(numbers)} numbers{outline}; {_BOX} and then {per} for each of {count} joints "
            "are needed"
        )
    scale = np.array([size[1], size[0]], np.float64)
    box = _shares(numbers[1:_BOX], where)
    keypoints = np.zeros((count, 3))
    if has_joints:
        placed = numbers[_BOX:].reshape(count, per_joint)
        keypoints[:, 2] = placed[:, 2] if per_joint == 3 else 2 * placed.any(1)
        if not np.isin(keypoints[:, 2], (0, 1, 2)).all():
            raise UserError(f"{where}: a joint's visibility is none of 0, 1, 2")
        labelled = keypoints[:, 2] > 0
        keypoints[labelled, :2] = _shares(placed[labelled, :2], where) * scale
    extent = box[2:] * scale
    corner = box[:2] * scale - extent / 2
    whole = [*corner.tolist(), *extent.tolist()] if (extent > 0).all() else None
    return YoloPerson(whole, keypoints, has_joints)


def _shares(values: Floats, where: str) -> Floats:
    outside = (values < -BEYOND) | (values > 1 + BEYOND)
    if outside.any():
        value = values[outside][0]
        raise UserError(
            f"{where}: {value:g} is no share of the image, from 0 to 1: pixels instead of shares?"
        )
    return np.clip(values, 0.0, 1.0)
