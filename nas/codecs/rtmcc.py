"""RTMPose's coordinates as classification (Jiang et al., 2023)."""

import numpy as np
from numpy.typing import NDArray

from nas.codecs.simcc import SimCCCodec

TEMPERATURE = 10.0
"""What targets and outputs are multiplied by before softmax."""


class RTMCCCodec(SimCCCodec):
    """SimCC's vectors, of which softmax(10 * vector) are the probabilities.

    Targets are Gaussians as SimCC's, unnormalised, each axis with its own sigma (see `bin_sigma`). encode ->
    decode_maps -> group gives back every labelled keypoint inside the input within 0.5 / split px along each
    axis. Raw scores are SimCC's, of these probabilities; RTMPose takes the smaller of both raw maxima
    instead, which says nothing where a constant is added to all bins.

    Options:
        split: bins per px.
        hidden: channels of a joint's token.
    """

    head = "rtmcc"
    label = "gaussian"
    sharpness = TEMPERATURE

    def probabilities(self, labels: NDArray[np.floating]) -> NDArray[np.floating]:
        """Softmax of labels times the temperature."""
        from scipy.special import softmax  # only here: devices group without scipy

        return np.asarray(softmax(labels * self.sharpness, axis=1))
