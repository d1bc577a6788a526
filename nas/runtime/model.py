"""What running and validating need of a model."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from nas.arrays import Pixels
from nas.codecs.affine import PADDING
from nas.codecs.finite import FiniteOutputs

if TYPE_CHECKING:
    from nas.space.arch import Arch
    from nas.space.skeleton import Skeleton
    from nas.space.specs import Task


class PoseModel(ABC):
    """A network that can be run, in torch or in onnxruntime.

    Args:
        arch: what it is.
        skeleton: what it finds.
        source: what messages call it.
        padding: how much boxes are grown before it sees them, where it sees crops.
    """

    flip = False
    """Whether every image is run mirrored as well."""

    def __init__(self, arch: "Arch", skeleton: "Skeleton", *, source: str, padding: float = PADDING) -> None:
        from nas.codecs.build import codec_of  # with the descriptions of all parts: when a network is opened

        self.arch = arch
        self.skeleton = skeleton
        self.padding = padding
        self.codec = codec_of(arch, skeleton)
        self._finite = FiniteOutputs(source)

    @property
    def resolution(self) -> tuple[int, int]:
        """Input size (h, w), px."""
        return self.arch.resolution

    @property
    def task(self) -> "Task":
        """What an input shows."""
        return self.codec.task

    @abstractmethod
    def candidates(self, images: Pixels) -> list[dict[str, NDArray[Any]]]:
        """For each RGB image [B, H, W, 3] of the network's resolution, what its codec groups."""
