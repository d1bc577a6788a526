"""Coordinates and how sure they are: Residual Log-likelihood Estimation (Li et al., ICCV 2021)."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from nas.arrays import Floats
from nas.codecs.base import Targets
from nas.codecs.confidence import Anchors
from nas.codecs.regression import RegressionCodec
from nas.codecs.types import People

MIN_SIGMA = 1e-3
"""The least sigma, as a share of the input's side (0.2 px in 200): it bounds the likelihood from above."""

UNINFORMED_SIGMA = 0.25
"""Of a joint that may be anywhere in the input, of which it is some quarter of the side."""


class RLECodec(RegressionCodec):
    """Normalised coordinates of every keypoint, with a deviation of each.

    Coordinates and the bound of the round trip are `RegressionCodec`'s.

    Options, besides "dropout" and "bone":
        gamma: weight of log sigma in the residual's likelihood. 1 is the published loss; smaller values
            lead to larger sigmas.
        maps: "shared", or "separate" feature maps for coordinates and for sigma and score.
        score: "sigma" (1 - the mean of sigma along x and y), or how a score branch learns: "bce" or
            "quality_focal".
    """

    head: ClassVar[str] = "rle"
    unscored: ClassVar[str] = "sigma"

    @property
    def anchors(self) -> Anchors:
        """Of the score branch; without one a raw score is 1 - sigma, from the least to an uninformed one."""
        if self.focus is not None:
            return super().anchors
        return Anchors(full=1 - MIN_SIGMA, none=1 - UNINFORMED_SIGMA)

    @property
    def scored(self) -> bool:
        """Always: sigmas are scores."""
        return True

    def encode(self, people: People) -> Targets:
        """The targets of `RegressionCodec` and gamma [], float32."""
        return {**super().encode(people), "gamma": np.asarray(self.options["gamma"], np.float32)}

    def values_without_branch(self, outputs: Mapping[str, NDArray[np.floating]]) -> Floats:
        """1 - mean sigma [K], from sigma_logits [K, 2]."""
        from scipy.special import expit  # only here: devices group without scipy

        sigma = MIN_SIGMA + (1 - MIN_SIGMA) * expit(outputs["sigma_logits"].astype(np.float64))
        return np.asarray(1 - sigma.mean(1))
