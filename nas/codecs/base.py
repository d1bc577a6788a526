"""What every codec does."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nas.codecs.types import People, Poses
from nas.space.arch import Arch, OptionValue
from nas.space.heads import Task, head_spec

if TYPE_CHECKING:
    from nas.space.skeleton import Skeleton

Targets = dict[str, NDArray[Any]]
Candidates = dict[str, NDArray[np.floating]]


class Codec(ABC):
    """Targets from people (`encode`), reference decode (`decode_maps`) and poses from candidates (`group`).

    Args:
        skeleton: the keypoints.
        resolution: the network's input (h, w), px.
        options: the head's options.
        stride: input px per cell of the neck's finest map; for heads that write their maps at that stride.
    """

    task: ClassVar[Task]

    def __init__(
        self,
        skeleton: "Skeleton",
        resolution: tuple[int, int],
        options: Mapping[str, OptionValue] | None = None,
        *,
        stride: int = 4,
    ) -> None:
        self.skeleton = skeleton
        self.resolution = resolution
        self.options = dict(options or {})
        self.stride = stride

    @property
    def keypoints(self) -> int:
        """How many keypoints the skeleton has."""
        return len(self.skeleton.keypoints)

    @abstractmethod
    def encode(self, people: People) -> Targets:
        """Training targets of one input: fixed shapes whatever the number of people."""

    @abstractmethod
    def decode_maps(self, outputs: Mapping[str, NDArray[np.floating]]) -> Candidates:
        """The candidates of one input from the head's raw outputs (no batch axis).

        The reference of the torch head's `decode`, in numpy.
        """

    @abstractmethod
    def group(self, candidates: Mapping[str, NDArray[np.floating]]) -> Poses:
        """Poses in input px from the candidates of one input (no batch axis)."""

    def grid(self, stride: int) -> tuple[int, int]:
        """Cells (h, w) of a map of that stride. Raises ValueError where they do not fill the input."""
        height, width = self.resolution
        if height % stride or width % stride:
            raise ValueError(f"resolution {self.resolution} is not a multiple of stride {stride}")
        return height // stride, width // stride


def group_direct(candidates: Mapping[str, NDArray[np.floating]]) -> Poses:
    """Poses of a head that gives keypoints [N, K, 3] and scores [N]: padding, of score 0, is dropped."""
    found = candidates["scores"] > 0
    return Poses(
        np.asarray(candidates["keypoints"], np.float64)[found],
        np.asarray(candidates["scores"], np.float64)[found],
    )


def only_person(people: People) -> NDArray[np.float64]:
    """The keypoints [K, 3] of a crop's one person. Raises ValueError where there is not exactly one."""
    if len(people) != 1:
        raise ValueError(f"a crop holds one person, got {len(people)}")
    return np.asarray(people.keypoints[0], np.float64)


def finest_stride(arch: Arch) -> int:
    """Input px per cell of the finest map that the neck gives: each level of the neck doubles the size."""
    backbone = 2 * prod(stage.stride for stage in arch.stages)
    return int(backbone // 2 ** len(arch.neck.widths))


def codec_of(arch: Arch, skeleton: "Skeleton") -> Codec:
    """The codec of an architecture's head. Raises UserError for a head that is not registered."""
    codec_class = head_spec(arch.head.type).load_codec()
    codec: Codec = codec_class(skeleton, arch.resolution, dict(arch.head.options), stride=finest_stride(arch))
    return codec
