"""Heatmaps of one person: SimpleBaseline's head (Xiao et al., ECCV 2018) in unbiased coordinates."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from nas.codecs.base import Candidates, Codec, Targets, group_direct, only_person
from nas.codecs.confidence import PLAIN, Anchors
from nas.codecs.dark import dark_shift
from nas.codecs.kernels import keypoint_heatmaps
from nas.codecs.maps import Refinement, nearest_cells, peaks, quarter_shift, to_pixels
from nas.codecs.types import People, Poses

REFINEMENTS: Mapping[str, Refinement] = MappingProxyType({"quarter": quarter_shift, "dark": dark_shift})


class HeatmapCodec(Codec):
    """One map per keypoint with a peak at its place, at the stride of the neck's finest map.

    encode -> decode_maps -> group gives back every labelled keypoint inside the input within these shares of
    a cell along each axis; the second figure is for keypoints in the map's outermost cells:

        refine "quarter", any kernel        0.25, 0.75
        refine "dark", kernel "gaussian"    0.02, 0.5
        refine "dark", kernel "exponential" 0.1, 0.5

    Options:
        kernel, radius: what the maps look like around a keypoint, see `keypoint_heatmaps`.
        foreground: how much more peaks count in the loss, see `Codec.foreground`.
        refine: "quarter", a quarter of a cell towards the higher neighbour, or "dark", see `dark_shift`.
    """

    head: ClassVar[str] = "heatmap"

    @property
    def anchors(self) -> Anchors:
        """Raw scores are the peaks' heights: 1 on a cell's centre, whatever the kernel and its radius."""
        return PLAIN

    def encode(self, people: People) -> Targets:
        """heatmaps [K, h, w] float32; weights [K] float32, 1 where the keypoint is labelled and inside.

        With option "foreground" that too, see `Codec.foreground`.

        Raises ValueError where there is not exactly one person.
        """
        keypoints = only_person(people)
        grid = self.grid(self.stride)
        _, inside = nearest_cells(keypoints, self.stride, grid)
        return {
            "heatmaps": keypoint_heatmaps(
                keypoints[None], people.areas, self.options, stride=self.stride, grid=grid
            ),
            "weights": inside.astype(np.float32),
            **self.foreground(),
        }

    def decode_maps(self, outputs: Mapping[str, NDArray[np.floating]]) -> Candidates:
        """keypoints [1, K, 3] and scores [1] from heatmaps [K, h, w]."""
        refine = REFINEMENTS[str(self.options["refine"])]
        cells, values = peaks(outputs["heatmaps"], refine)
        return self.one_pose(to_pixels(cells, self.stride), values)

    def group(self, candidates: Mapping[str, NDArray[np.floating]]) -> Poses:
        """The person, unless its score is 0."""
        return group_direct(candidates)
