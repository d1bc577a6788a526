"""Keypoints as expectations over maps: integral regression (Sun et al., ECCV 2018)."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from nas.arrays import Floats
from nas.codecs.base import Candidates, Codec, Targets, group_direct, only_person
from nas.codecs.confidence import Anchors
from nas.codecs.maps import nearest_cells, to_cells, to_pixels
from nas.codecs.types import People, Poses
from nas.errors import UserError
from nas.space.specs import OptionValue

if TYPE_CHECKING:  # devices group without pydantic
    from nas.space.skeleton import Skeleton

SIGMA, SIGMA_SIDE = 2.0, 64
"""Cells: what a distribution's spread should be on maps of that longer side; less on smaller ones."""


def localisation_stride(stride: int, deconvolutions: int) -> int:
    """Input px per cell of the localisation map over a neck of that stride.

    Args:
        deconvolutions: how often the neck's map is doubled.

    Raises:
        UserError: the neck's maps are too fine for so many.
    """
    factor = 1 << deconvolutions
    if stride % factor:
        given = f"{deconvolutions} on maps of stride {stride}"
        raise UserError(f"head option 'deconvolutions': {given} leave less than a pixel")
    return stride // factor


def target_sigma(grid: tuple[int, int]) -> float:
    """Cells: 2 on maps of 64 cells and more along the longer side, proportionally less on smaller ones."""
    return SIGMA * min(1.0, max(grid) / SIGMA_SIDE)


def score_radius(grid: tuple[int, int]) -> float:
    """Cells: the distance at which probability counts exp(-1/2) towards a keypoint's raw score."""
    return max(1.0, 2 * target_sigma(grid))


class IntegralCodec(Codec):
    """One distribution per keypoint, whose mean is the keypoint.

    The localisation map's cells lie at the neck's finest stride over 2 ** deconvolutions. The targets are the
    exact positions. A distribution over cell centres has its mean between the outermost of them, so that
    keypoints in the outer half of an outermost cell cannot be reached: decoded from the distribution that
    shares a keypoint linearly between its nearest cells, every labelled keypoint inside the input comes back
    exactly, or at the outermost centre, half a cell away at most.

    Options:
        beta: what the maps are multiplied by before softmax.
        debias: whether the background's pull to the map's centre is removed (see the head).
        deconvolutions: 0, 1 or 2 doublings before the map.
        width: channels of these.
    """

    head: ClassVar[str] = "integral"

    def __init__(
        self,
        skeleton: "Skeleton",
        resolution: tuple[int, int],
        options: Mapping[str, OptionValue] | None = None,
        *,
        stride: int | Sequence[int] = 4,
    ) -> None:
        super().__init__(skeleton, resolution, options, stride=stride)
        self.map_stride = localisation_stride(self.stride, int(self.options["deconvolutions"]))

    @cached_property
    def anchors(self) -> Anchors:
        """Raw scores say how much of the probability lies near the joint, see `decode_maps`.

        `full` is that of `centred` along both axes, `none` that of a map whose cells are all alike: of small
        maps a good part is near any place.
        """
        grid = self.grid(self.map_stride)
        radius = score_radius(grid)
        sides = [np.stack([self.centred(cells, grid), np.full(cells, 1 / cells)]) for cells in grid]
        full, none = np.prod([_mean_and_nearness(side, radius)[1] for side in sides], axis=0)
        return Anchors(float(full), float(none))

    def centred(self, cells: int, grid: tuple[int, int]) -> Floats:
        """The distribution [cells] along an axis of a joint on the centre of the middle cell of that grid."""
        return np.asarray(np.eye(cells)[cells // 2], np.float64)

    def encode(self, people: People) -> Targets:
        """coordinates [K, 2] x, y (cells of the map), weights [K]; float32. Rows of weight 0 are zero.

        Raises ValueError where there is not exactly one person.
        """
        keypoints = only_person(people)
        _, inside = nearest_cells(keypoints, self.map_stride, self.grid(self.map_stride))
        cells = np.where(inside[:, None], to_cells(keypoints[:, :2], self.map_stride), 0)
        return {"coordinates": cells.astype(np.float32), "weights": inside.astype(np.float32)}

    def decode_maps(self, outputs: Mapping[str, NDArray[np.floating]]) -> Candidates:
        """keypoints [1, K, 3] and scores [1] from probabilities [K, h, w].

        A keypoint's raw score says how much of the probability lies near it: the expectation of
        exp(-d^2 / 2 r^2) of the distance d along x times that along y, r = max(1, 2 sigma) cells. A single
        cell scores 1, a Gaussian of sigma 0.8, two far peaks with the keypoint between them 0.
        """
        maps = np.asarray(outputs["probabilities"], np.float64)
        radius = score_radius((maps.shape[1], maps.shape[2]))
        x, near_x = _mean_and_nearness(maps.sum(1), radius)
        y, near_y = _mean_and_nearness(maps.sum(2), radius)
        scores = near_x * near_y
        return self.one_pose(to_pixels(np.stack([x, y], axis=1), self.map_stride), scores)

    def group(self, candidates: Mapping[str, NDArray[np.floating]]) -> Poses:
        """The person, unless its score is 0."""
        return group_direct(candidates)


def _mean_and_nearness(marginal: Floats, radius: float) -> tuple[Floats, Floats]:
    """Of distributions [K, n] along one axis: the mean (cells), and how near to it the probability lies."""
    middle = (marginal.shape[1] - 1) / 2
    positions = np.arange(marginal.shape[1]) - middle
    mean = marginal @ positions
    nearness = np.exp(-((positions - mean[:, None]) ** 2) / (2 * radius**2))
    return mean + middle, (marginal * nearness).sum(1)
