"""Many people by associative embedding (Newell et al., NeurIPS 2017) at two scales.

As HigherHRNet (Cheng et al., CVPR 2020) and LitePose (Wang et al., CVPR 2022) do it. Every keypoint cell
carries a tag; the keypoints of one person have close tags.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter
from scipy.optimize import linear_sum_assignment

from nas.arrays import Floats, Ints
from nas.codecs.base import Candidates, Codec, Targets
from nas.codecs.confidence import Anchors, found_confidence
from nas.codecs.kernels import keypoint_heatmaps
from nas.codecs.maps import (
    nearest_cells,
    quarter_shift,
    shrink_mask,
    to_cells,
    to_pixels,
    upsample_twice,
)
from nas.codecs.types import People, Poses

COARSE, FINE = 4, 2
"""Strides (px) of the two outputs; tags are on the coarse one, peaks are found on the fine grid."""

MAX_PEOPLE = 30
NMS_KERNEL = 5
"""Cells of the fine grid."""

DETECTION_THRESHOLD = 0.1
TAG_THRESHOLD = 1.0
TIE_BREAK = 1e-3
NO_MATCH = 1e3
"""Costs more than any two pairs that can be matched."""

FLAT_TOP = FINE * (NMS_KERNEL // 2 + 0.5)
"""Pixels: how far apart two peaks that max-pooling keeps can lie and still be within one window."""

FILL_CELLS = 2**20
"""Cells that the search for missing keypoints holds in memory at once."""


class AssociativeEmbeddingCodec(Codec):
    """Heatmaps at strides 4 and 2, tags at stride 4, grouping by tags with the Hungarian algorithm.

    With ideal tags, encode -> decode_maps -> group gives back every labelled keypoint within 1 px along each
    axis (2 px in the outermost cells, where the neighbour that would tell is missing), if no other person's
    same keypoint is so near that Gaussians or tags mix.

    Options:
        kernel, radius: what heatmaps look like around a keypoint, see `keypoint_heatmaps`.
        foreground: how much more peaks count in the loss, see `Codec.foreground`.
    """

    head: ClassVar[str] = "associative_embedding"
    packages: ClassVar[tuple[str, ...]] = ("scipy",)

    @cached_property
    def anchors(self) -> Anchors:
        """Raw scores are the peaks' heights in the mean of both scales.

        `full` is that of a joint on a fine cell's centre, a quarter of a coarse cell from the nearest coarse
        one's; where the radius follows the person, of the smallest person.
        """
        joint = np.array([[[*to_pixels(np.array([4, 4]), FINE), 1.0]]])
        coarse, fine = (
            keypoint_heatmaps(
                joint, np.zeros(1), self.options, stride=stride, grid=(16 // stride, 16 // stride)
            )
            for stride in (COARSE, FINE)
        )
        return Anchors(full=float(_mean_of_scales(coarse, fine).max()), none=0.0)

    def encode(self, people: People) -> Targets:
        """Targets of one input.

        Returns:
            heatmaps_4 [K, H/4, W/4], heatmaps_2 [K, H/2, W/2]: float32, everyone's keypoints.
            mask_4 [H/4, W/4], mask_2 [H/2, W/2]: float32, 1 where the loss counts: outside of
                unlabelled regions, and around labelled keypoints everywhere.
            joints [30, K, 2]: int64, flat index into [K, H/4, W/4] and 1 where the keypoint is labelled and
                inside; the 30 largest people where there are more.
            foreground, with that option: see `Codec.foreground`.
        """
        targets = self.foreground()
        keypoints = np.asarray(people.keypoints, np.float64).reshape(-1, self.keypoints, 3)
        for stride in (COARSE, FINE):
            grid = self.grid(stride)
            heatmaps = keypoint_heatmaps(keypoints, people.areas, self.options, stride=stride, grid=grid)
            targets[f"heatmaps_{stride}"] = heatmaps
            # Labelled people stand in unlabelled crowds too: around their keypoints the loss counts.
            targets[f"mask_{stride}"] = np.maximum(shrink_mask(people.mask, grid), heatmaps.max(0) > 0)
        largest = np.argsort(-np.asarray(people.areas, np.float64), kind="stable")[:MAX_PEOPLE]
        targets["joints"] = self._joints(keypoints[largest])
        return targets

    def _joints(self, keypoints: Floats) -> Ints:
        height, width = grid = self.grid(COARSE)
        cells, inside = nearest_cells(keypoints, COARSE, grid)
        flat = (np.arange(self.keypoints) * height + cells[..., 1]) * width + cells[..., 0]
        joints = np.zeros((MAX_PEOPLE, self.keypoints, 2), np.int64)
        joints[: len(keypoints)] = np.stack([np.where(inside, flat, 0), inside], axis=-1)
        return joints

    def ideal_tags(self, people: People, *, spacing: float = 10.0) -> NDArray[np.float32]:
        """A perfect network's tags [K, H/4, W/4, 1]: one value per person, that of the nearest keypoint."""
        height, width = grid = self.grid(COARSE)
        tags = np.zeros((self.keypoints, height, width), np.float32)
        nearest = np.full(tags.shape, np.inf)
        cells = to_cells(people.keypoints[..., :2], COARSE)
        _, inside = nearest_cells(people.keypoints, COARSE, grid)
        for person in range(len(people)):
            along_x = (np.arange(width) - cells[person, :, 0, None]) ** 2
            along_y = (np.arange(height) - cells[person, :, 1, None]) ** 2
            distance = along_y[:, :, None] + along_x[:, None, :]
            distance[~inside[person]] = np.inf
            tags[distance < nearest] = spacing * (person + 1)
            nearest = np.minimum(nearest, distance)
        return tags[..., None]

    def decode_maps(self, outputs: Mapping[str, NDArray[np.floating]]) -> Candidates:
        """The 30 best peaks of every keypoint.

        Args:
            outputs: heatmaps_4 [K, H/4, W/4], heatmaps_2 [K, H/2, W/2], tags [K, H/4, W/4, T].

        Returns:
            candidates [K, 30, 3 + T]: x, y (input px, quarter-shifted), raw score, tags.
            heatmap [K, H/2, W/2]: mean of both scales; tag_map [K, H/2, W/2, T].
        """
        heatmap = _mean_of_scales(outputs["heatmaps_4"], outputs["heatmaps_2"])
        tag_map = outputs["tags"].repeat(2, axis=1).repeat(2, axis=2)
        count, _, width = heatmap.shape
        highest = maximum_filter(heatmap, size=(1, NMS_KERNEL, NMS_KERNEL), mode="constant", cval=-np.inf)
        maxima = np.where(heatmap == highest, heatmap, 0).reshape(count, -1)
        best = np.argsort(-maxima, axis=1, kind="stable")[:, :MAX_PEOPLE]
        joint = np.arange(count)[:, None]
        y, x = np.divmod(best, width)
        found = np.concatenate(
            [
                to_pixels(quarter_shift(heatmap, joint, x, y), FINE),
                np.take_along_axis(maxima, best, 1)[..., None],
                tag_map[joint, y, x],
            ],
            axis=-1,
        )
        return {"candidates": found, "heatmap": heatmap, "tag_map": tag_map}

    def group(self, candidates: Mapping[str, NDArray[np.floating]]) -> Poses:
        """People from candidates: matched by tags, missing keypoints filled in from the maps.

        A pose's score is the mean over all keypoints of the matched candidates' raw scores, missing ones
        counting 0. At most 30 poses, best first.

        Args:
            candidates: as `decode_maps` returns them.
        """
        keypoints, tags = match_by_tags(drop_twins(candidates["candidates"]))
        scores = keypoints[..., 2].mean(1) if len(keypoints) else np.zeros(0)
        best = np.argsort(-scores, kind="stable")[:MAX_PEOPLE]
        filled = fill_missing(keypoints[best], tags[best], candidates["heatmap"], candidates["tag_map"])
        filled[..., 2] = found_confidence(filled[..., 2], self.anchors)
        return Poses(filled, scores[best])


def _mean_of_scales(coarse: NDArray[np.floating], fine: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.asarray((upsample_twice(coarse) + fine) / 2)


def drop_twins(candidates: NDArray[np.floating]) -> Floats:
    """Candidates [K, M, 3 + T] with score 0 where an earlier one is the same peak.

    Max-pooling keeps every cell of a flat top. Peaks that it keeps so near to each other have equal scores;
    with close tags besides, they are one.
    """
    kept = np.array(candidates, np.float64)
    one, other = kept[:, :, None], kept[:, None, :]
    near = (np.abs(one[..., :2] - other[..., :2]) <= FLAT_TOP).all(-1)
    equal = one[..., 2] == other[..., 2]
    similar = np.linalg.norm(one[..., 3:] - other[..., 3:], axis=-1) < TAG_THRESHOLD
    twins = np.tril(near & equal & similar, k=-1).any(-1)
    kept[twins, 2] = 0
    return kept


def match_by_tags(candidates: NDArray[np.floating]) -> tuple[Floats, Floats]:
    """Groups candidates [K, M, 3 + T] into people.

    Keypoint by keypoint, in the skeleton's order: the candidates above the detection threshold are assigned
    to the people so far at the least sum of round(d) * 100 - score, where d is the distance between the tag
    and the person's mean tag; of equal sums the one of the least squared distances is taken. Pairs of d >= 1
    cannot be matched: they all cost the same, so that no good pair is given up for a hopeless one.
    Who is left over begins a new person.

    Returns:
        keypoints [N, K, 3] x, y (px), score, where missing ones are 0; mean tags [N, T].
    """
    values = np.asarray(candidates, np.float64)
    count, most, size = values.shape
    usable = (values[..., 2] > DETECTION_THRESHOLD) & np.isfinite(values).all(2)
    tagged = np.concatenate([values[..., 3:], np.ones((count, most, 1))], axis=2)
    keypoints = np.zeros((count * most, count, 3))
    sums = np.zeros((count * most, size - 2))  # of tags, and how many they are
    people = 0
    for joint, rows in enumerate(usable):
        found, tags = values[joint, rows], tagged[joint, rows]
        means = sums[:people, :-1] / sums[:people, -1:]
        owner = _owners(_length(tags[:, None, :-1] - means), found[:, 2:3])
        new = np.flatnonzero(owner < 0)
        owner[new] = people + np.arange(len(new))
        people += len(new)
        keypoints[owner, joint] = found[:, :3]
        sums[owner] += tags
    return keypoints[:people], sums[:people, :-1] / sums[:people, -1:]


def _owners(distance: NDArray[np.floating], scores: Floats) -> Ints:
    """The person [M] of every candidate, -1 for none, by distances [M, N] to mean tags and scores [M, 1]."""
    close = distance < TAG_THRESHOLD
    row, column = close.nonzero()
    if _is_repeated(row) or _is_repeated(column):
        cost = np.rint(distance) * 100 - scores + TIE_BREAK * distance**2
        row, column = linear_sum_assignment(np.where(close, cost, NO_MATCH))
        near = close[row, column]
        row, column = row[near], column[near]
    owner = np.full(len(distance), -1)
    owner[row] = column
    return owner


def _is_repeated(index: Ints) -> bool:
    """Whether something occurs more than once: candidates or people compete."""
    return len(set(index.tolist())) < len(index)


def fill_missing(
    keypoints: Floats,
    tags: Floats,
    heatmap: NDArray[np.floating],
    tag_map: NDArray[np.floating],
) -> Floats:
    """Keypoints [N, K, 3] with the missing ones (score 0) looked up in the maps.

    A missing keypoint goes to the maximum of heatmap - round(|tag - mean tag of the person|),
    quarter-shifted, and takes the heatmap's value there as its score; if that is not positive it
    stays missing.

    Args:
        keypoints: [N, K, 3] x, y (input px), score.
        tags: [N, T] mean tag of each person.
        heatmap: [K, H/2, W/2].
        tag_map: [K, H/2, W/2, T].
    """
    count, height, width = heatmap.shape
    person, joint = np.nonzero(keypoints[..., 2] == 0)
    flat_heat = heatmap.reshape(count, -1)
    flat_tags = tag_map.reshape(count, height * width, -1)
    wanted = tags.astype(tag_map.dtype)
    best = np.zeros(len(person), np.int64)
    step = max(1, FILL_CELLS // (height * width * flat_tags.shape[-1]))
    for k in np.unique(joint):
        rows = np.flatnonzero(joint == k)
        for start in range(0, len(rows), step):
            chosen = rows[start : start + step]
            difference = flat_tags[k] - wanted[person[chosen], None]
            best[chosen] = (flat_heat[k] - np.round(_length(difference))).argmax(1)
    y, x = np.divmod(best, width)
    values = heatmap[joint, y, x].astype(np.float64)
    found = values > 0
    filled = keypoints.copy()
    places = to_pixels(quarter_shift(heatmap, joint, x, y), FINE)
    filled[person[found], joint[found]] = np.column_stack([places, values])[found]
    return filled


def _length(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    """Euclidean length over the last axis; of single numbers the magnitude, which is much faster."""
    if vectors.shape[-1] == 1:
        return np.asarray(np.abs(vectors[..., 0]))
    return np.asarray(np.linalg.norm(vectors, axis=-1))
