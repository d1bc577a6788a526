"""Mosaics: several samples side by side in one input, a scene of more people than each of them shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.arrays import Flags, Floats
from nas.codecs import People
from nas.data.regions import joints_inside, uncount

SPREAD = 0.2
"""The line between two halves lies up to this far from the middle, as a fraction of the input's side."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of an input: its first pixels, and those after its last."""

    left: int
    top: int
    right: int
    bottom: int

    def of(self, image: NDArray[Any]) -> NDArray[Any]:
        """Its part of an input [H, W, ...], as a view."""
        return image[self.top : self.bottom, self.left : self.right]


def draw_tiles(resolution: tuple[int, int], side: int, rng: np.random.Generator) -> list[Tile]:
    """`side` x `side` tiles that fill an input (h, w), row by row, between lines that are drawn.

    As YOLOv4 has it (Bochkovskiy et al. 2020).
    """
    rows, columns = (_lines(extent, side, rng) for extent in resolution)
    return [
        Tile(left, top, right, bottom) for top, bottom in pairwise(rows) for left, right in pairwise(columns)
    ]


def largest_tile(side: int) -> float:
    """The longest side that a tile of `side` x `side` can have, as a fraction of the input's."""
    reach = SPREAD / (side - 1)
    return 1 / side + (2 if side > 2 else 1) * reach


def compose(parts: Sequence[tuple[Tile, People]], resolution: tuple[int, int]) -> People:
    """The people of an input that is put together from tiles.

    Joints beyond their tile are unlabelled; boxes end with it and areas shrink as the boxes do. Where a
    person without any joint left is still seen, the loss does not count.

    Args:
        parts: tiles and the people of each, in the tile's pixels.
        resolution: the input's (h, w).
    """
    mask = np.ones(resolution, np.bool_)
    cut = [_cut(people, tile, mask) for tile, people in parts]
    return People(
        np.concatenate([people.keypoints for people in cut]),
        np.concatenate([people.areas for people in cut]),
        np.concatenate([people.boxes for people in cut]),
        None if mask.all() else mask,
    )


def _lines(extent: int, side: int, rng: np.random.Generator) -> list[int]:
    """Where the tiles of an axis begin and end, px."""
    inner = np.arange(1, side) / side + SPREAD / (side - 1) * (2 * rng.random(side - 1) - 1)
    return [0, *np.rint(inner * extent).astype(int).tolist(), extent]


def _cut(people: People, tile: Tile, mask: Flags) -> People:
    """The people of a tile in the input's pixels; the tile's part of `mask` is written."""
    counts = tile.of(mask)
    height, width = counts.shape
    keypoints = np.array(people.keypoints, np.float64)
    keypoints[~joints_inside(keypoints, (height, width)), 2] = 0
    boxes = np.clip(people.boxes, -0.5, np.array([width, height, width, height]) - 0.5)
    shares = _box_areas(boxes) / _box_areas(people.boxes)
    kept = (keypoints[..., 2] > 0).any(1) & (shares > 0)
    if people.mask is not None:
        counts &= people.mask
    uncount(counts, boxes[~kept])
    keypoints[..., :2] += tile.left, tile.top
    boxes += tile.left, tile.top, tile.left, tile.top
    return People(keypoints[kept], (people.areas * shares)[kept], boxes[kept])


def _box_areas(boxes: NDArray[np.floating]) -> Floats:
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).prod(1), np.float64)
