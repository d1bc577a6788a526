"""Many people by part affinity fields (Cao et al., CVPR 2017) at one scale, as Lightweight OpenPose has them.

(Osokin, "Real-time 2D Multi-Person Pose Estimation on CPU: Lightweight OpenPose", 2018.) Beside a heatmap per
keypoint there are two maps per limb, which hold the unit vector from the limb's first to its second keypoint
wherever the limb is.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from nas.arrays import Flags, Floats
from nas.codecs.base import Candidates, Codec, Targets
from nas.codecs.confidence import PLAIN, Anchors, found_confidence
from nas.codecs.limb_sets import limb_set
from nas.codecs.limbs import join_limbs, join_pieces
from nas.codecs.maps import draw_heatmaps, gaussian_shift, shrink_mask, to_cells, to_pixels
from nas.codecs.types import People, Poses
from nas.space.specs import OptionValue

if TYPE_CHECKING:  # devices group without pydantic
    from nas.space.skeleton import Skeleton

SIGMA = 7.0
"""Pixels, whatever the stride."""

THICKNESS = 1.0
"""Cells: how far from its line a limb reaches. The cell nearest to any point of the line is within that."""

CANDIDATES = 30
"""Peaks kept per keypoint: as many as there may be people."""

DETECTION_THRESHOLD = 0.1
SAMPLES = 10
"""Places along a limb where its affinity is read, ends included."""

VALID_SAMPLES = 8
"""How many of them must exceed the threshold, and so must their mean."""

AFFINITY_THRESHOLD = 0.05
SHORTEST = 1e-6
"""Cells: limbs are no shorter when their direction is taken."""


class PartAffinityCodec(Codec):
    """Heatmaps and part affinity fields at the stride of the neck's finest map (8), grouped limb by limb.

    encode -> decode_maps -> group gives back every labelled keypoint inside the input within 0.1 px along
    each axis, on the border too, if no other person's same keypoint is nearer than 5 cells and no other's
    same limb lies in the way. What limbs between labelled keypoints hold together comes back in one pose; a
    piece of a person joins others that are near and lack its keypoints. Poses have `fewest` keypoints or
    more.

    Options:
        limbs: which pairs of keypoints have fields, one of `LIMB_SETS`.
        fewest: keypoints of a pose; all, where the skeleton has no more.

    Peaks are refined on the map itself by the Gaussian through three cells, which is exact for the
    targets; the highest cell of maps up-sampled four times, as the original has them, is up to 1.4 px off
    (bicubic; 3 px if bilinear), and takes longer to find.

    Where the same limb of two people lies along each other the other way round, the mean of their fields
    vanishes: neither is found there.
    """

    head: ClassVar[str] = "part_affinity"
    packages: ClassVar[tuple[str, ...]] = ("scipy",)

    def __init__(
        self,
        skeleton: "Skeleton",
        resolution: tuple[int, int],
        options: Mapping[str, OptionValue] | None = None,
        *,
        stride: int | Sequence[int] = 8,
    ) -> None:
        super().__init__(skeleton, resolution, options, stride=stride)
        self.limbs = limb_set(skeleton, str(self.options["limbs"]))
        # Of a skeleton of two joints a pose of three is never found.
        self.fewest = min(int(self.options["fewest"]), self.keypoints)

    @property
    def anchors(self) -> Anchors:
        """Raw scores are the peaks' heights, 1 on a cell's centre."""
        return PLAIN

    @property
    def sigma(self) -> float:
        """Of the Gaussians, in cells."""
        return SIGMA / self.stride

    def encode(self, people: People) -> Targets:
        """Targets of one input.

        Returns:
            heatmaps [K + 1, h, w] float32: everyone's keypoints, and the background, 1 - their maximum.
            affinities [2 L, h, w] float32: x of all limbs, then y; the mean over people whose limbs meet.
            mask [h, w] float32: 1 where the loss counts: outside of unlabelled regions, and around labelled
                keypoints and limbs everywhere.
        """
        grid = self.grid(self.stride)
        keypoints = np.asarray(people.keypoints, np.float64).reshape(-1, self.keypoints, 3)
        heatmaps = draw_heatmaps(keypoints, stride=self.stride, grid=grid, sigma=self.sigma)
        someone = heatmaps.max(0)
        affinities = self._affinities(keypoints, grid)
        labelled = (someone > 0) | (affinities != 0).any(0)
        return {
            "heatmaps": np.concatenate([heatmaps, 1 - someone[None]]),
            "affinities": affinities,
            "mask": np.maximum(shrink_mask(people.mask, grid), labelled),
        }

    def _affinities(self, keypoints: Floats, grid: tuple[int, int]) -> NDArray[np.float32]:
        limbs = np.array(self.limbs)
        person, limb = np.nonzero((keypoints[:, limbs, 2] > 0).all(2))
        cells = to_cells(keypoints[..., :2], self.stride)
        start, end = cells[person, limbs[limb, 0]], cells[person, limbs[limb, 1]]
        lengths = np.linalg.norm(end - start, axis=1)
        drawn = lengths > SHORTEST
        limb, start, lengths = limb[drawn], start[drawn], lengths[drawn]
        direction = (end[drawn] - start) / lengths[:, None]
        height, width = grid
        x = np.arange(width)[None, None, :] - start[:, 0, None, None]
        y = np.arange(height)[None, :, None] - start[:, 1, None, None]
        along_x, along_y = direction[:, 0, None, None], direction[:, 1, None, None]
        along = np.clip(x * along_x + y * along_y, 0, lengths[:, None, None])
        near = (x - along * along_x) ** 2 + (y - along * along_y) ** 2 <= THICKNESS**2
        sums = np.zeros((2, len(limbs), height, width))
        counts = np.zeros((len(limbs), height, width))
        np.add.at(counts, limb, near)
        for axis in range(2):
            np.add.at(sums[axis], limb, near * direction[:, axis, None, None])
        mean = sums / np.maximum(counts, 1)
        return mean.reshape(-1, height, width).astype(np.float32)

    def decode_maps(self, outputs: Mapping[str, NDArray[np.floating]]) -> Candidates:
        """The 30 best peaks of every keypoint, and how well each limb supports each pair of them.

        Args:
            outputs: heatmaps [K + 1, h, w] and affinities [2 L, h, w], of the last stage.

        Returns:
            candidates [K, 30, 3]: x, y (input px), raw score; all 0 where there is none.
            affinities [L, 30, 30]: the mean affinity along the line between two candidates; 0 where it does
                not exceed 0.05 or fewer than 8 of the 10 places do.
        """
        heatmaps = np.asarray(outputs["heatmaps"])[: self.keypoints]
        cells, scores = best_peaks(heatmaps, sigma=self.sigma)
        found = scores > 0
        places = np.where(found[..., None], to_pixels(cells, self.stride), 0)
        return {
            "candidates": np.concatenate([places, scores[..., None]], axis=-1),
            "affinities": self._pairs(np.asarray(outputs["affinities"]), cells, found),
        }

    def _pairs(self, maps: NDArray[np.floating], cells: Floats, found: Flags) -> Floats:
        first, second = np.array(self.limbs).T
        start, end = cells[first][:, :, None], cells[second][:, None]
        offset = end - start
        direction = offset / np.maximum(np.linalg.norm(offset, axis=-1, keepdims=True), SHORTEST)
        _, height, width = maps.shape
        fractions = np.linspace(0, 1, SAMPLES)[:, None]
        nearest = np.rint(start[..., None, :] * (1 - fractions) + end[..., None, :] * fractions)
        x, y = np.moveaxis(np.clip(nearest, 0, [width - 1, height - 1]).astype(np.int64), -1, 0)
        limb = np.arange(len(self.limbs))[:, None, None, None]
        field = maps.reshape(2, -1, height, width)
        direction = direction[..., None, :]
        values = field[0, limb, y, x] * direction[..., 0] + field[1, limb, y, x] * direction[..., 1]
        mean = values.mean(-1)
        supported = (values > AFFINITY_THRESHOLD).sum(-1) >= VALID_SAMPLES
        both = found[first][:, :, None] & found[second][:, None]
        return np.where(supported & (mean > AFFINITY_THRESHOLD) & both, mean, 0)

    def group(self, candidates: Mapping[str, NDArray[np.floating]]) -> Poses:
        """People from candidates: joined limb by limb, then piece by piece (`nas.codecs.limbs`).

        Lone keypoints would be dropped, so they join whom they are near; where they count as people
        (`fewest` 1) they do so only if no limb could have told that they belong there.

        A pose's score is the sum of its keypoints' raw scores and its limbs' affinities over the number of
        both that a whole person has, so that small pieces rank last. Best first; keypoints that were not
        found are 0.

        Args:
            candidates: as `decode_maps` returns them.
        """
        points = np.asarray(candidates["candidates"], np.float64)
        points = np.where((np.isfinite(points).all(-1) & (points[..., 2] > 0))[..., None], points, 0)
        pieces = join_limbs(points[..., 2], candidates["affinities"], self.limbs)
        people = join_pieces(pieces, points, self.limbs if self.fewest == 1 else ())
        people = [person for person in people if len(person[0]) >= self.fewest]
        keypoints = np.zeros((len(people), self.keypoints, 3))
        scores = np.zeros(len(people))
        for number, (members, support) in enumerate(people):
            joints, chosen = np.array(members).T
            keypoints[number, joints] = points[joints, chosen]
            scores[number] = (keypoints[number, :, 2].sum() + support) / (self.keypoints + len(self.limbs))
        keypoints[..., 2] = found_confidence(keypoints[..., 2], self.anchors)
        best = np.argsort(-scores, kind="stable")
        return Poses(keypoints[best], scores[best])


def best_peaks(heatmaps: NDArray[np.floating], *, sigma: float) -> tuple[Floats, Floats]:
    """The 30 highest local maxima of each map [K, h, w] above the threshold, those of equal height once.

    Returns:
        cells [K, M, 2] x, y, refined; scores [K, M], 0 (at cell 0) where there are fewer.
    """
    count, _, width = heatmaps.shape
    bordered = np.pad(heatmaps, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    highest = maximum_filter(bordered, size=(1, 3, 3), mode="nearest")[:, 1:-1, 1:-1]
    # Of neighbours of equal height (a keypoint midway between cells) the first in reading order stands.
    above = maximum_filter(bordered, size=(1, 1, 3), mode="nearest")[:, :-2, 1:-1]
    before = bordered[:, 1:-1, :-2]
    is_peak = (heatmaps >= highest) & (heatmaps > np.maximum(above, before))
    kept = np.where(is_peak & (heatmaps > DETECTION_THRESHOLD), heatmaps, 0).reshape(count, -1)
    best = np.argsort(-kept, axis=1, kind="stable")[:, :CANDIDATES]
    scores = np.take_along_axis(kept, best, 1).astype(np.float64)
    y, x = np.divmod(best, width)
    joint = np.arange(count)[:, None]
    cells = gaussian_shift(heatmaps, joint, x, y, sigma=sigma, lowest=DETECTION_THRESHOLD)
    return np.where((scores > 0)[..., None], cells, 0), scores
