"""Heatmaps of one person: SimpleBaseline's head (Xiao et al., ECCV 2018) in unbiased coordinates."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from nas.codecs.base import Candidates, Codec, Targets, group_direct, only_person
from nas.codecs.maps import draw_gaussians, nearest_cells, peaks, to_pixels
from nas.codecs.types import People, Poses
from nas.space.heads import Task

SIGMA = 2.0
"""Cells."""


class HeatmapCodec(Codec):
    """One Gaussian map per keypoint, at the stride of the neck's finest map.

    encode -> decode_maps -> group gives back every labelled keypoint inside the input within a quarter of a
    cell along each axis, three quarters in the map's outermost cells.
    """

    task: ClassVar[Task] = "crop"

    def encode(self, people: People) -> Targets:
        """heatmaps [K, h, w] float32; weights [K] float32, 1 where the keypoint is labelled and inside.

        Raises ValueError where there is not exactly one person.
        """
        keypoints = only_person(people)
        grid = self.grid(self.stride)
        _, inside = nearest_cells(keypoints, self.stride, grid)
        return {
            "heatmaps": draw_gaussians(keypoints[None], stride=self.stride, grid=grid, sigma=SIGMA),
            "weights": inside.astype(np.float32),
        }

    def decode_maps(self, outputs: Mapping[str, NDArray[np.floating]]) -> Candidates:
        """keypoints [1, K, 3] and scores [1] from heatmaps [K, h, w]; the score is the mean of the peaks."""
        cells, values = peaks(outputs["heatmaps"])
        keypoints = np.column_stack([to_pixels(cells, self.stride), values])
        return {"keypoints": keypoints[None], "scores": values.mean(keepdims=True)}

    def group(self, candidates: Mapping[str, NDArray[np.floating]]) -> Poses:
        """The person, unless its score is 0."""
        return group_direct(candidates)
