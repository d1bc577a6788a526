"""Coordinates regressed directly (DeepPose, Toshev & Szegedy, CVPR 2014)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from nas.arrays import Floats
from nas.codecs.base import Candidates, Codec, Targets, group_direct, only_person
from nas.codecs.confidence import PLAIN, Anchors
from nas.codecs.maps import to_cells, to_pixels
from nas.codecs.types import People, Poses
from nas.errors import UserError

if TYPE_CHECKING:  # devices group without pydantic
    from nas.space.skeleton import Skeleton

FOCUS = {"bce": 0.0, "quality_focal": 2.0}
"""How a score branch is trained: exponent of quality focal loss (Li et al., NeurIPS 2020); at 0 that is
binary cross entropy."""

BRANCH = Anchors(full=1.0, none=0.5)
"""Of a branch's scores, predicted similarities: logits of 0 give a half, a joint as likely wrong as right."""


def checked_bone(weight: float, skeleton: "Skeleton") -> float:
    """The value of the option "bone". Raises UserError for a skeleton without limbs."""
    if weight and not skeleton.limbs:
        raise UserError(f"head option 'bone': skeleton {skeleton.name!r} names no limbs; set it to 0")
    return weight


class RegressionCodec(Codec):
    """Normalised coordinates of every keypoint.

    The whole input counts as one cell of a map: pixel x lies at (x + 0.5) / W - 0.5, so that the input spans
    -0.5 to 0.5 and mirroring changes the sign. encode -> decode_maps -> group gives back every labelled
    keypoint, inside the input or outside of it, within rounding of float32: 1e-6 times the larger of the
    input's side and the keypoint's distance from its centre (px).

    Options:
        dropout: share of the pooled features that is dropped in training.
        bone: weight of the bone term, which compares the vectors along the skeleton's limbs.
        score: "none" (every score is 1), or how a score branch learns: "bce" or "quality_focal".
    """

    head: ClassVar[str] = "regression"
    unscored: ClassVar[str] = "none"
    """The value of option "score" that stands for no score branch."""

    @property
    def anchors(self) -> Anchors:
        """Of the score branch; without one every raw score is 1."""
        return PLAIN if self.focus is None else BRANCH

    @property
    def scored(self) -> bool:
        """Whether there is a score branch."""
        return self.focus is not None

    @property
    def focus(self) -> float | None:
        """The score branch's exponent in quality focal loss; None where there is no branch."""
        return FOCUS.get(str(self.options["score"]))

    @property
    def bone(self) -> float:
        """Weight of the bone term. Raises UserError for a skeleton without limbs."""
        return checked_bone(float(self.options["bone"]), self.skeleton)

    def encode(self, people: People) -> Targets:
        """Targets, float32; unlabelled joints lie at the centre, with weight 0.

        Returns:
            xy [K, 2] normalised and weights [K]; with option "bone" limb_weights [L]; with a score branch
            focus [] and areas [] (px^2).

        Raises:
            ValueError: not exactly one person.
            UserError: "bone" for a skeleton without limbs.
        """
        keypoints = only_person(people)
        labelled = keypoints[:, 2] > 0
        height, width = self.resolution
        xy = np.column_stack([to_cells(keypoints[:, 0], width), to_cells(keypoints[:, 1], height)])
        targets: Targets = {
            "xy": np.where(labelled[:, None], xy, 0).astype(np.float32),
            "weights": labelled.astype(np.float32),
        }
        if self.bone:
            ends = labelled[np.array(self.skeleton.limb_index)]
            targets["limb_weights"] = (self.bone * ends.all(1)).astype(np.float32)
        if self.focus is not None:
            targets["focus"] = np.asarray(self.focus, np.float32)
            targets["areas"] = np.asarray(people.areas[0], np.float32)
        return targets

    def decode_maps(self, outputs: Mapping[str, NDArray[np.floating]]) -> Candidates:
        """keypoints [1, K, 3] and scores [1] from xy [K, 2] and, with a score branch, score_logits [K]."""
        height, width = self.resolution
        xy = outputs["xy"]
        places = np.stack([to_pixels(xy[:, 0], width), to_pixels(xy[:, 1], height)], axis=1)
        return self.one_pose(places, self.values(outputs))

    def values(self, outputs: Mapping[str, NDArray[np.floating]]) -> Floats:
        """The joints' raw scores [K]."""
        from scipy.special import expit  # only here: devices group without scipy

        if "score_logits" in outputs:
            return np.asarray(expit(outputs["score_logits"].astype(np.float64)))
        return self.values_without_branch(outputs)

    def values_without_branch(self, outputs: Mapping[str, NDArray[np.floating]]) -> Floats:
        """The joints' raw scores [K] where there is no score branch."""
        return np.ones(len(outputs["xy"]))

    def group(self, candidates: Mapping[str, NDArray[np.floating]]) -> Poses:
        """The person, unless its score is 0."""
        return group_direct(candidates)
