"""What running and validating need of a model."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nas.codecs.base import Codec
from nas.space.heads import Task
from nas.space.skeleton import Skeleton


class PoseModel(Protocol):
    """A network that can be run, in torch or in onnxruntime."""

    @property
    def skeleton(self) -> Skeleton: ...

    @property
    def resolution(self) -> tuple[int, int]:
        """Input size (h, w), px."""
        ...

    @property
    def task(self) -> Task: ...

    @property
    def codec(self) -> Codec: ...

    @property
    def flip(self) -> bool:
        """Whether every image is run mirrored as well."""
        ...

    def candidates(self, images: NDArray[np.uint8]) -> list[dict[str, NDArray[Any]]]:
        """For each RGB image [B, H, W, 3] of the network's resolution, what its codec groups."""
        ...
