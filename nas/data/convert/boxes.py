"""Boxes of people: around their joints, and which of several boxes is whose."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from nas.arrays import Floats

MARGIN = 0.1
"""By how much of a person's height a box around joints is wider than the joints on each side."""

POINT = 1.0
"""Px: joints that span less lie on one place and say nothing about a person's size."""

LEAST_SIDE = 0.1
"""Sides of the box around such joints, as a share of the image's shorter side."""

HELD = 0.5
"""A box is a person's if it holds more than this share of the labelled joints."""

_NEARNESS = 1e-3
"""Of boxes that hold as many joints the one whose centre is nearest to theirs is taken."""


def joints_box(
    keypoints: Floats, size: tuple[int, int], reasons: list[str], *, height: float | None = None
) -> list[float] | None:
    """A box around the labelled joints [K, 3] with a margin, cut at the image of size (h, w).

    Args:
        keypoints: x, y, v.
        size: the image's (h, w).
        reasons: what is assumed, or why there is no box, is added.
        height: the person's height in px, if it is known; by default the larger side of the joints' extent.

    Returns:
        x, y, width, height; None where nothing is labelled or all of it lies outside the image.
    """
    points = keypoints[keypoints[:, 2] > 0, :2]
    if not len(points):
        reasons.append("person without a box and without a labelled joint, left out")
        return None
    low, high = points.min(0), points.max(0)
    span = float((high - low).max())
    margin = MARGIN * (height or span)
    is_point = not height and span < POINT
    if is_point:
        margin = LEAST_SIDE * min(size) / 2
    box = clipped_box(low - margin, high + margin, size)
    if box is None:
        reasons.append("person without a box, whose labelled joints all lie outside the image, left out")
    elif is_point:
        reasons.append(
            f"person whose labelled joints lie on one place: the box is {LEAST_SIDE:g} of the image's "
            "shorter side wide and high"
        )
    return box


def clipped_box(low: Floats, high: Floats, size: tuple[int, int]) -> list[float] | None:
    """The part inside an image of size (h, w) of a box from `low` to `high` (x, y in the joints' pixels).

    Returns:
        x, y, width, height; None where all of it lies outside.
    """
    # A box's coordinates begin at the first pixel's edge, the joints' at its centre.
    low = np.maximum(low + 0.5, 0)
    high = np.minimum(high + 0.5, (size[1], size[0]))
    if (high - low <= 0).any():
        return None
    return [*low.tolist(), *(high - low).tolist()]


def boxes_of_people(people: Sequence[Floats], boxes: Sequence[Sequence[float]]) -> list[int | None]:
    """For each person the number of its box: one that holds most of its labelled joints, each box once.

    A box that holds those of somebody besides, who gets no other, may be around both: it is nobody's. A
    person without labelled joints, alone with one box, gets that.

    Args:
        people: joints [K, 3] x, y, v.
        boxes: x, y, width, height.
    """
    if not people or not boxes:
        return [None] * len(people)
    corners = np.asarray(boxes, np.float64)
    low, high = corners[:, :2], corners[:, :2] + corners[:, 2:]
    held = np.zeros((len(people), len(boxes)))
    nearness = np.zeros(held.shape)
    for row, keypoints in enumerate(people):
        points = keypoints[keypoints[:, 2] > 0, None, :2]
        if not len(points):
            held[row] = len(people) == len(boxes) == 1
            continue
        held[row] = ((points >= low) & (points <= high)).all(2).mean(0)
        middle = (points.min(0) + points.max(0)) / 2
        away = np.hypot(*(middle - (low + high) / 2).T)
        nearness[row] = 1 / (1 + away / np.hypot(*(high - low).T))
    fits = held > HELD
    rows, columns = linear_sum_assignment(np.where(fits, held + _NEARNESS * nearness, 0), maximize=True)
    chosen = {int(row): int(column) for row, column in zip(rows, columns, strict=True) if fits[row, column]}
    without = [row for row in range(len(people)) if row not in chosen]
    return [
        None if number is None or fits[without, number].any() else number
        for number in (chosen.get(row) for row in range(len(people)))
    ]
