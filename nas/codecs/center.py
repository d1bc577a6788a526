"""Many people, or one, found by their centres (MoveNet; CenterNet, Zhou et al. 2019)."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from nas.arrays import Flags, Floats, Ints
from nas.codecs.base import Candidates, Codec, Targets, group_direct
from nas.codecs.confidence import PLAIN, Anchors
from nas.codecs.maps import draw_heatmaps, nearest_cells, shrink_mask, to_cells, to_pixels
from nas.codecs.types import People, Poses

STRIDE = 4
"""Pixels per cell of all maps."""

MAX_PEOPLE = 30
SIGMA = 2.0
"""Cells, of keypoints and centres."""

DISC = 2.3
"""Cells around a centre's that are taught where the person's keypoints are."""

BLOCK = 1.5
"""Cells around a keypoint's that are taught how far away it is."""

NMS_KERNEL = 3
WINDOW = 7
"""Cells in each direction from the regressed keypoint within which its peak is looked for."""

REACH = 8.0
"""Cells: the unit of regressions. Ways are tens of cells long, and outputs of order 1 are learned best."""

NEARNESS = 1.8
"""Cells: heatmap values are divided by the distance from the regressed keypoint plus this."""

CENTER_THRESHOLD = 0.1
KEYPOINT_THRESHOLD = 0.1


def disc(radius: float) -> Ints:
    """[D, 2] x, y of the cells within a radius of the cell (0, 0)."""
    reach = int(radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    near = np.hypot(x, y) <= radius
    return np.column_stack([x[near], y[near]]).astype(np.int64)


def window() -> Ints:
    """[M, 2] x, y of the cells of the search window around (0, 0)."""
    return disc(WINDOW)


def closeness(grid: tuple[int, int]) -> NDArray[np.float32]:
    """[h, w] 1 at the middle of a map, a half at half its longer side from there."""
    height, width = grid
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(x - (width - 1) / 2, y - (height - 1) / 2)
    near: NDArray[np.float32] = (1 / (1 + distance / (max(grid) / 2))).astype(np.float32)
    return near


class CenterCodec(Codec):
    """Heatmaps of keypoints and people's centres, keypoints seen from the centre, offsets within cells.

    A centre is the middle of the box around a person's labelled keypoints inside the input. The best centres
    (option `people`) that no higher one adjoins give a first place of each keypoint; the cell within 7 cells
    of it with the highest heatmap / (distance + 1.8) takes over where its heatmap reaches 0.1, moved by its
    offset.

    ideal_maps -> decode_maps -> group gives back every labelled keypoint inside the input within 0.01 px, if
    other centres, and the same keypoint of others, are 3 cells away or further: of people whose centres are
    stacked on one another, one is found. With option `people` at 1 it is the one whose centre times its
    closeness to the middle of the input is highest.
    """

    head: ClassVar[str] = "center"
    packages: ClassVar[tuple[str, ...]] = ("scipy",)

    @property
    def anchors(self) -> Anchors:
        """Raw scores are the heatmaps' values, 1 on a cell's centre."""
        return PLAIN

    def encode(self, people: People) -> Targets:
        """Targets of one input; the 30 largest people where there are more.

        Returns:
            heatmaps [K, h, w], center [1, h, w]: float32, of everyone.
            mask [h, w]: float32, 1 where the loss of both counts: outside of unlabelled regions, and around
                labelled keypoints and their centres everywhere.
            joints [30, K, 3]: float32 x, y in cells, and 1 where the keypoint is labelled and inside.
            discs [30, D, 2]: int64, cells (index into h * w) around each person's centre, and 1 where they
                exist and are nearest to that one.
            blocks [30, K, 9, 2]: likewise cells around each keypoint.
        """
        grid = self.grid(STRIDE)
        everyone = np.asarray(people.keypoints, np.float64).reshape(-1, self.keypoints, 3)
        _, inside = nearest_cells(everyone, STRIDE, grid)
        everyone = everyone * inside[..., None]
        middles = _middles(everyone)
        heatmaps = draw_heatmaps(everyone, stride=STRIDE, grid=grid, sigma=SIGMA)
        center = draw_heatmaps(middles[:, None], stride=STRIDE, grid=grid, sigma=SIGMA)
        seen = (heatmaps.max(0) > 0) | (center[0] > 0)
        largest = np.argsort(-np.asarray(people.areas, np.float64), kind="stable")[:MAX_PEOPLE]
        chosen, labelled = everyone[largest], inside[largest]
        joints = np.zeros((MAX_PEOPLE, self.keypoints, 3), np.float32)
        joints[: len(chosen)] = (
            np.concatenate([to_cells(chosen[..., :2], STRIDE), np.ones_like(chosen[..., :1])], axis=-1)
            * labelled[..., None]
        )
        return {
            "heatmaps": heatmaps,
            "center": center,
            "mask": np.maximum(shrink_mask(people.mask, grid), seen),
            "joints": joints,
            "discs": _claimed(middles[largest, None], disc(DISC), grid)[:, 0],
            "blocks": _claimed(chosen, disc(BLOCK), grid),
        }

    def ideal_maps(self, people: People) -> dict[str, NDArray[np.floating]]:
        """A perfect network's outputs: the targets as maps, 0 where nothing is taught."""
        targets = self.encode(people)
        height, width = self.grid(STRIDE)
        joints = targets["joints"].astype(np.float64)
        maps = np.zeros((2, 2, self.keypoints, height * width))
        for person, joint in np.argwhere(joints[..., 2] > 0):
            taught = targets["discs"][person], targets["blocks"][person, joint]
            for part, cells in zip(maps, taught, strict=True):
                own = cells[cells[:, 1] > 0, 0]
                part[:, joint, own] = joints[person, joint, :2, None] - np.stack([own % width, own // width])
        regressions, offsets = maps.reshape(2, 2 * self.keypoints, height, width)
        return {
            "heatmaps": targets["heatmaps"],
            "center": targets["center"],
            "regressions": regressions / REACH,
            "offsets": offsets,
        }

    def decode_maps(self, outputs: Mapping[str, NDArray[np.floating]]) -> Candidates:
        """`keypoints` [people, K, 3] x, y (px), confidence and `scores` [people], best first.

        A pose's score is its centre's value times the mean of its keypoints' raw scores, the heatmaps'
        values; where the centre's is under 0.1 the pose is padding, all 0.

        Args:
            outputs: heatmaps [K, h, w] and center [1, h, w] between 0 and 1; regressions [2 K, h, w] from the
                cell in units of `REACH` cells and offsets [2 K, h, w] within it in cells, all x before all y.
        """
        people = int(self.options["people"])
        heatmaps, center = outputs["heatmaps"], outputs["center"][0]
        count, height, width = heatmaps.shape
        ranking = center
        if people == 1:
            ranking = center * closeness(center.shape)
        else:
            highest = maximum_filter(center, size=NMS_KERNEL, mode="constant", cval=-np.inf)
            center = ranking = np.where(center == highest, center, 0)
        best = np.argsort(-ranking.ravel(), kind="stable")[:people]
        row, column = np.divmod(best, width)
        centers = center.ravel()[best]
        centers = centers * (centers >= CENTER_THRESHOLD) * ~_adjoins_a_better_one(column, row)

        x, y = REACH * outputs["regressions"].reshape(2, count, -1)[:, :, best]
        x, y = x + column, y + row
        cell_x = (np.round(x).clip(0, width - 1)[..., None] + window()[:, 0]).clip(0, width - 1)
        cell_y = (np.round(y).clip(0, height - 1)[..., None] + window()[:, 1]).clip(0, height - 1)
        cells = (cell_y * width + cell_x).astype(np.int64).clip(0, height * width - 1)
        joint = np.arange(count)[:, None]
        heat = heatmaps.reshape(count, -1)[joint[..., None], cells]
        nearness = np.hypot(cell_x - x[..., None], cell_y - y[..., None]) + NEARNESS
        peak = (heat / nearness).argmax(-1)[..., None]
        values, cell = np.take_along_axis(heat, peak, -1)[..., 0], np.take_along_axis(cells, peak, -1)[..., 0]
        offset_x, offset_y = outputs["offsets"].reshape(2, count, -1)[:, joint, cell]
        seen = values >= KEYPOINT_THRESHOLD
        places = np.stack(
            [np.where(seen, cell % width + offset_x, x), np.where(seen, cell // width + offset_y, y)], axis=-1
        )
        keypoints = np.concatenate([to_pixels(places, STRIDE), values[..., None]], axis=-1).swapaxes(0, 1)
        scores = centers * values.mean(0)
        found = scores > 0
        missing = people - len(best)
        raw = {
            "keypoints": np.pad(np.where(found[:, None, None], keypoints, 0), ((0, missing), (0, 0), (0, 0))),
            "scores": np.pad(np.where(found, scores, 0), (0, missing)),
        }
        return self.confident(raw)

    def group(self, candidates: Mapping[str, NDArray[np.floating]]) -> Poses:
        """The people, without padding."""
        return group_direct(candidates)


def _adjoins_a_better_one(x: Ints, y: Ints) -> Flags:
    """[N] whether a cell is a neighbour of an earlier one: maximum filters keep all cells of a flat top."""
    near = (np.abs(x[:, None] - x) <= 1) & (np.abs(y[:, None] - y) <= 1)
    adjoins: Flags = np.tril(near, k=-1).any(1)
    return adjoins


def _middles(keypoints: Floats) -> Floats:
    """[P, 3] middle of the box around each person's keypoints [P, K, 3] (px), and whether there are any."""
    labelled = keypoints[..., 2:] > 0
    present = labelled.any(1)
    low = keypoints[..., :2].min(1, where=labelled, initial=np.inf)
    high = keypoints[..., :2].max(1, where=labelled, initial=-np.inf)
    middle = np.where(present, low, 0) / 2 + np.where(present, high, 0) / 2
    return np.concatenate([middle, present], axis=1)


def _claimed(keypoints: Floats, shape: Ints, grid: tuple[int, int]) -> Ints:
    """The cells around the nearest one of keypoints [P, K, 3] (px), each claimed by the nearest person.

    Args:
        keypoints: those of one joint compete with each other.
        shape: [D, 2] cells relative to the nearest one.
        grid: cells (h, w).

    Returns:
        [30, K, D, 2] index into h * w, and 1 where the cell exists and is claimed by that person.
    """
    height, width = grid
    people, count = keypoints.shape[:2]
    centre, inside = nearest_cells(keypoints, STRIDE, grid)
    cells = centre[:, :, None] + shape
    exists = inside[..., None] & ((cells >= 0) & (cells < [width, height])).all(-1)
    distance = np.linalg.norm(cells - to_cells(keypoints[:, :, None, :2], STRIDE), axis=-1)
    flat = np.where(exists, cells[..., 1] * width + cells[..., 0], 0)
    claimed = np.zeros((MAX_PEOPLE, count, len(shape), 2), np.int64)
    place = np.flatnonzero(exists)
    place = place[np.argsort(distance.ravel()[place], kind="stable")]
    rivals = (np.arange(count)[:, None] * height * width + flat).ravel()[place]
    _, first = np.unique(rivals, return_index=True)
    owned = np.zeros(exists.size, bool)
    owned[place[first]] = True
    own = owned.reshape(exists.shape)
    claimed[:people] = np.stack([np.where(own, flat, 0), own], axis=-1)
    return claimed
