"""Numbers that are none: what a network gives where it overflows is as good as not found."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


class FiniteOutputs:
    """Makes padding, zeros, of what is not finite in a network's outputs, and says so once.

    Args:
        source: what the message calls the network.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._told = False

    def __call__(self, outputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The outputs of one input (no batch axis), of which rows along the last axis are kept or zeroed."""
        return {name: self._kept(array) for name, array in outputs.items()}

    def _kept(self, array: NDArray[Any]) -> NDArray[Any]:
        finite = np.isfinite(array)
        if finite.all():
            return array
        if not self._told:
            self._told = True
            import logging  # hardly ever needed, and a tenth of what the runtime takes to load

            logging.getLogger(__name__).warning(
                "%s: its outputs hold numbers that are not finite (such weights, or an overflow); what they "
                "stand for counts as not found",
                self._source,
            )
        # A keypoint whose x is no number has no score either: the whole row goes.
        rows = finite.all(-1, keepdims=True) if array.ndim > 1 else finite
        return np.where(rows, array, np.zeros((), array.dtype))
