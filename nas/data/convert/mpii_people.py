"""People as MPII annotates them, and those of the JSON lists that training code commonly uses."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from posixpath import normpath
from typing import Any

import numpy as np

from nas.arrays import Floats
from nas.coco.images import LONGEST_SIDE
from nas.documents import read_json
from nas.errors import UserError

REFERENCE_HEIGHT = 200.0
"""A person of scale 1 is so many px high."""

JOINTS = 16


@dataclass(frozen=True, eq=False)
class MpiiPerson:
    """One person, in pixels counted from 0: `head` is x0, y0, x1, y1 of the head box; `height` in px."""

    image: str
    keypoints: Floats
    centre: tuple[float, float] | None
    height: float | None
    head: tuple[float, float, float, float] | None


def height_of(scale: float | None) -> float | None:
    """The person's height, px; a scale that is not above 0 says nothing."""
    return None if scale is None or scale <= 0 else scale * REFERENCE_HEIGHT


def checked_person(person: MpiiPerson) -> MpiiPerson:
    """The person itself. Raises ValueError where a number cannot be one of an image."""
    numbers = [*person.keypoints.ravel(), *(person.centre or ()), person.height or 0.0, *(person.head or ())]
    # Not the other way round: NaN is refused too.
    if not (np.abs(numbers) <= LONGEST_SIDE).all():
        raise ValueError("a number beyond any image")
    return person


def json_people(source: Path) -> Iterator[MpiiPerson]:
    rows = read_json(source)
    if not isinstance(rows, list):
        raise UserError(f"{source}: expected a list of people with 'image', 'joints', 'joints_vis'")
    for number, row in enumerate(rows):
        try:
            yield _json_person(row)
        except (KeyError, TypeError, ValueError, OverflowError):
            raise UserError(
                f"{source}: person {number} is not as expected: 'image', 'center', 'scale', {JOINTS} "
                f"'joints' and 'joints_vis' are needed (the lists of test images have no joints)"
            ) from None


def _json_person(row: Any) -> MpiiPerson:
    joints = np.array(row["joints"], np.float64).reshape(JOINTS, 2) - 1
    labelled = np.array(row["joints_vis"], np.float64).reshape(JOINTS) > 0
    keypoints = np.concatenate([joints, 2.0 * labelled[:, None]], axis=1)
    keypoints[~labelled] = 0
    x, y = (float(value) - 1 for value in row["center"])
    image = row["image"]
    if not isinstance(image, str) or not image:
        raise TypeError("an image is named by its file")
    height = height_of(float(row["scale"]))
    return checked_person(MpiiPerson(normpath(image), keypoints, (x, y), height, _head(row)))


def _head(row: dict[str, Any]) -> tuple[float, float, float, float] | None:
    """The head box of a JSON person, where a list carries one as two corners."""
    corners = next((row[name] for name in ("head_box", "headbox", "head_rect") if row.get(name)), None)
    if corners is None:
        return None
    x0, y0, x1, y1 = (np.array(corners, np.float64).reshape(4) - 1).tolist()
    return x0, y0, x1, y1
