"""Coordinates as classification (SimCC, Li et al., ECCV 2022; RTMPose, Jiang et al., 2023)."""

from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from nas.arrays import Floats
from nas.codecs.base import Candidates, Codec, Targets, group_direct, only_person
from nas.codecs.confidence import Anchors
from nas.codecs.maps import to_cells, to_pixels
from nas.codecs.types import People, Poses

SMOOTHING = 0.1
"""Probability that label "onehot" spreads over all bins."""


def bin_sigma(bins: int) -> float:
    """RTMPose's sigma of the Gaussian label, in bins: sqrt(bins) / 4 (384 bins: 4.9)."""
    return float(np.sqrt(bins)) / 4


class SimCCCodec(Codec):
    """Two vectors per keypoint, `split` bins per pixel along x and along y.

    Bin b lies at pixel (b + 0.5) / split - 0.5. encode -> decode_maps -> group gives back every labelled
    keypoint inside the input within 0.5 / split px along each axis.

    Options:
        split: bins per px.
        label: "gaussian" (unnormalised, its centre at the exact position) or "onehot" (smoothed).
    """

    head: ClassVar[str] = "simcc"
    sharpness: ClassVar[float] = 1.0
    """What vectors are multiplied by before softmax."""

    @property
    def split(self) -> int:
        return int(self.options["split"])

    @property
    def label(self) -> str:
        """What labels look like."""
        return str(self.options["label"])

    @property
    def bins(self) -> tuple[int, int]:
        """Bins along (y, x)."""
        return self.resolution[0] * self.split, self.resolution[1] * self.split

    @cached_property
    def anchors(self) -> Anchors:
        """A raw score is the geometric mean of two bins' probabilities.

        `full` is that of labels in the middle of both axes: at an end, where half a Gaussian is cut off, the
        other half is more probable. `none` is that of bins that are all alike.
        """
        likely = [self.probabilities(self._label(np.array([bins // 2]), bins)).max() for bins in self.bins]
        return Anchors(full=float(np.sqrt(np.prod(likely))), none=float(1 / np.sqrt(np.prod(self.bins))))

    def probabilities(self, labels: NDArray[np.floating]) -> NDArray[np.floating]:
        """The bins' probabilities [K, bins] that labels stand for."""
        return np.asarray(labels / labels.sum(1, keepdims=True))

    def encode(self, people: People) -> Targets:
        """x [K, W * split], y [K, H * split], weights [K]; float32. Rows of weight 0 are zero.

        Raises ValueError where there is not exactly one person.
        """
        keypoints = only_person(people)
        centres = to_cells(keypoints[:, :2], 1 / self.split)
        size = np.array(self.bins[::-1])
        nearest = np.floor(centres + 0.5)
        inside = ((nearest >= 0) & (nearest < size)).all(1) & (keypoints[:, 2] > 0)
        weights = inside.astype(np.float32)
        return {
            "x": self._label(centres[:, 0], int(size[0])) * weights[:, None],
            "y": self._label(centres[:, 1], int(size[1])) * weights[:, None],
            "weights": weights,
        }

    def _label(self, centres: Floats, bins: int) -> NDArray[np.float32]:
        distance = np.arange(bins) - np.where(np.isfinite(centres), centres, 0)[:, None]
        if self.label == "gaussian":
            return np.exp(-(distance**2) / (2 * bin_sigma(bins) ** 2)).astype(np.float32)
        hot = np.abs(distance).argmin(1)[:, None] == np.arange(bins)
        return np.asarray(hot * (1 - SMOOTHING) + SMOOTHING / bins, np.float32)

    def decode_maps(self, outputs: Mapping[str, NDArray[np.floating]]) -> Candidates:
        """keypoints [1, K, 3] and scores [1] from the logits x [K, W * split] and y [K, H * split]."""
        from scipy.special import softmax  # only here: devices group without scipy

        x, y = outputs["x"], outputs["y"]
        bins = np.stack([x.argmax(1), y.argmax(1)], axis=1)
        likely = [softmax(vector * self.sharpness, axis=1).max(1) for vector in (x, y)]
        values = np.sqrt(likely[0] * likely[1]).astype(np.float64)
        return self.one_pose(to_pixels(bins, 1 / self.split), values)

    def group(self, candidates: Mapping[str, NDArray[np.floating]]) -> Poses:
        """The person, unless its score is 0."""
        return group_direct(candidates)
