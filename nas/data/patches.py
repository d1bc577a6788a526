"""Blanked patches: cut-outs anywhere, and information dropping around joints."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from nas.arrays import Flags, Pixels
from nas.codecs import People
from nas.codecs.affine import BORDER_COLOUR
from nas.data.regions import joints_inside, uncount

Shape = Literal["rectangle", "circle", "either"]
Sizes = tuple[float, float]

FEWEST_JOINTS = 4
"""Of a person of whom the input shows fewer joints none is hidden: the others could not tell it."""


@dataclass(frozen=True, slots=True)
class Patch:
    """A rectangle, as fractions of the input's width and height, or the largest circle in its middle.

    It may reach beyond the input.
    """

    x: float
    y: float
    width: float
    height: float
    round: bool = False


def is_round(shape: Shape, uniform: float) -> bool:
    """Whether a patch of that shape is a circle; "either" is one as often as not."""
    return shape == "circle" or (shape == "either" and uniform < 0.5)


def cutout(size: Sizes, shape: Shape, u: list[float]) -> Patch:
    """A patch inside the input, from five numbers in 0..1 (DeVries & Taylor 2017).

    Args:
        size: smallest and largest side, as a fraction of the input's.
        shape: of the patch.
        u: uniform: width, height, x, y, shape.
    """
    smallest, largest = size
    width, height = (smallest + (largest - smallest) * value for value in u[:2])
    return Patch((1 - width) * u[2], (1 - height) * u[3], width, height, is_round(shape, u[4]))


def drop(
    people: People,
    resolution: tuple[int, int],
    *,
    probability: float,
    size: Sizes,
    shape: Shape,
    rng: np.random.Generator,
) -> list[Patch]:
    """Information dropping: what surrounds one labelled joint of a person is hidden, its label stays.

    The joint then has to be inferred from the rest of the person (Huang et al., "AID: Pushing the Performance
    Boundary of Human Pose Estimation with Information Dropping Augmentation", 2020).

    Args:
        people: of the input, in its pixels.
        resolution: the input's (h, w).
        probability: for each person by itself.
        size: smallest and largest side of the patch, as a fraction of the longer side of the person's box.
        shape: of the patch; a rectangle is a square here.
        rng: four numbers are drawn for each person.

    Returns:
        A patch for each person that loses something.
    """
    height, width = resolution
    patches = []
    for keypoints, box in zip(people.keypoints, people.boxes, strict=True):
        chosen, joint, extent, form = rng.random(4).tolist()
        shown = keypoints[joints_inside(keypoints, resolution), :2]
        if chosen >= probability or len(shown) < FEWEST_JOINTS:
            continue
        side = (size[0] + (size[1] - size[0]) * extent) * float((box[2:] - box[:2]).max())
        x, y = (shown[int(joint * len(shown))] + 0.5 - side / 2).tolist()
        round_ = is_round(shape, form)
        patches.append(Patch(x / width, y / height, side / width, side / height, round_))
    return patches


def blank(image: Pixels | Flags, patch: Patch, colour: ArrayLike = BORDER_COLOUR) -> None:
    """Fill a patch of an input [H, W, ...], in place; by default with the mean colour."""
    height, width = image.shape[:2]
    left, right = round(patch.x * width), round((patch.x + patch.width) * width)
    top, bottom = round(patch.y * height), round((patch.y + patch.height) * height)
    rows, columns = slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width))
    if not patch.round:
        image[rows, columns] = np.asarray(colour, image.dtype)
        return
    y, x = np.ogrid[rows, columns]
    away = (x + 0.5 - (left + right) / 2) ** 2 + (y + 0.5 - (top + bottom) / 2) ** 2
    inside = away <= (min(right - left, bottom - top) / 2) ** 2
    shape = (*inside.shape, *([1] * (image.ndim - 2)))
    np.copyto(image[rows, columns], np.asarray(colour, image.dtype), where=inside.reshape(shape))


def without_hidden(people: People, patches: Sequence[Patch], resolution: tuple[int, int]) -> People:
    """The people of a whole image (h, w) of whom the patches leave at least one labelled joint to be seen.

    Nothing tells where the others are: their boxes do not count.
    """
    if not patches:
        return people
    hidden = np.zeros(resolution, np.bool_)
    for patch in patches:
        blank(hidden, patch, True)
    shown = joints_inside(people.keypoints, resolution)
    cells = np.rint(np.where(shown[..., None], people.keypoints[..., :2], 0)).astype(int)
    columns, rows = np.moveaxis(np.minimum(cells, (resolution[1] - 1, resolution[0] - 1)).clip(0), -1, 0)
    covered = hidden[rows, columns]
    lost = shown.any(1) & ~(shown & ~covered).any(1)
    if not lost.any():
        return people
    mask = np.ones(resolution, np.bool_) if people.mask is None else people.mask.copy()
    uncount(mask, people.boxes[lost])
    return People(people.keypoints[~lost], people.areas[~lost], people.boxes[~lost], mask)
