"""What every codec does."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nas.arrays import Floats
from nas.codecs.confidence import Anchors, confidence, found_confidence, pose_confidence
from nas.codecs.types import People, Poses
from nas.codecs.typical import random_candidates
from nas.errors import UserError
from nas.space.parts import part
from nas.space.specs import HeadSpec, OptionValue, Task

if TYPE_CHECKING:  # devices group without pydantic
    from nas.space.skeleton import Skeleton

Targets = dict[str, NDArray[Any]]
Candidates = dict[str, NDArray[np.floating]]


class Codec(ABC):
    """Targets from people (`encode`), reference decode (`decode_maps`) and poses from candidates (`group`).

    Args:
        skeleton: the keypoints.
        resolution: the network's input (h, w), px.
        options: the head's options; those left out have their defaults.
        stride: input px per cell of the neck's maps, coarsest first; one number stands for a single map.

    Raises UserError for options that the head's description does not admit.

    `stride` is that of the finest map, `strides` has those of all.

    Every codec states its `anchors`: what the scores that its head decodes to are worth. `packages` are what
    it imports besides numpy: a device that times grouping has to have them.
    """

    head: ClassVar[str] = ""
    """The name of the head that it is the codec of, whose description has the options' defaults."""
    packages: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        skeleton: "Skeleton",
        resolution: tuple[int, int],
        options: Mapping[str, OptionValue] | None = None,
        *,
        stride: int | Sequence[int] = 4,
    ) -> None:
        if type(self).anchors is Codec.anchors:
            raise UserError(
                f"{type(self).__module__}.{type(self).__qualname__} states no `anchors`, without which its "
                "scores are no confidences: see docs/adding-a-part.md"
            )
        self.skeleton = skeleton
        self.resolution = resolution
        given = dict(options or {})
        self.options = part(HeadSpec, self.head).complete(given) if self.head else given
        self.strides = (stride,) if isinstance(stride, int) else tuple(stride)
        self.stride = self.strides[-1]

    @property
    def task(self) -> Task:
        """The head's."""
        return part(HeadSpec, self.head).task

    @property
    def keypoints(self) -> int:
        """How many keypoints the skeleton has."""
        return len(self.skeleton.keypoints)

    @property
    def anchors(self) -> Anchors:
        """What raw scores of keypoints are worth, at this resolution and with these options."""
        raise NotImplementedError

    @property
    def scored(self) -> bool:
        """Whether scores measure anything; else all are 1."""
        return True

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

    def typical_candidates(
        self, shapes: Mapping[str, tuple[int, ...]], *, people: int, rng: "np.random.Generator"
    ) -> Candidates:
        """Made-up candidates of these shapes, as work for `group`: its time is measured on them.

        Values are random, of outputs named as those of our heads such as so many people give them. A head of
        other outputs says here what is typical of those.
        """
        return random_candidates(shapes, self.resolution, people=people, rng=rng)

    def confident(self, raw: Mapping[str, NDArray[np.floating]]) -> Candidates:
        """Candidates of raw scores as `decode_maps` gives them: with confidences; padding keeps 0.

        What people are assembled from in `group` stays as it is, and so do poses' scores in whole images.
        """
        if "keypoints" not in raw:
            return dict(raw)
        keypoints, anchors = raw["keypoints"].copy(), self.anchors
        scores = keypoints[..., 2]
        if self.task == "image":
            keypoints[..., 2] = found_confidence(scores, anchors)
            return {**raw, "keypoints": keypoints}
        row = keypoints.any((-2, -1))
        keypoints[row, :, 2] = confidence(scores[row], anchors)
        return {
            **raw,
            "keypoints": keypoints,
            "scores": np.where(row, pose_confidence(raw["scores"], anchors), 0),
        }

    def one_pose(self, xy: NDArray[np.floating], raw: NDArray[np.floating]) -> Candidates:
        """What a crop decodes to: keypoints [1, K, 3] and scores [1] from places [K, 2] and raw scores [K].

        The pose's score is made of the mean of its keypoints' raw scores.
        """
        keypoints = np.column_stack([xy, raw])[None]
        return self.confident({"keypoints": keypoints, "scores": raw.mean(keepdims=True)})

    def foreground(self) -> Targets:
        """The option `foreground` k as a target `foreground` [] float32: how much more peaks count.

        The squared error of a cell whose target is t weighs 1 + k t (MoveNet: k from 5 to 10), since nearly
        all cells are background. Without the option, or at 0, there is no such target.
        """
        share = float(self.options["foreground"])
        return {"foreground": np.array(share, np.float32)} if share else {}

    def grid(self, stride: int) -> tuple[int, int]:
        """Cells (h, w) of a map of that stride. Raises ValueError where they do not fill the input."""
        height, width = self.resolution
        if height % stride or width % stride:
            raise ValueError(f"resolution {self.resolution} is not a multiple of stride {stride}")
        return height // stride, width // stride


def group_direct(candidates: Mapping[str, NDArray[np.floating]]) -> Poses:
    """Poses of a head that gives keypoints [N, K, 3], scores [N] and, if it knows them, boxes [N, 4].

    Padding, of score 0, is dropped, and so is what is not finite.
    """
    scores, boxes = candidates["scores"], candidates.get("boxes")
    poses = Poses(
        np.asarray(candidates["keypoints"], np.float64),
        np.asarray(scores, np.float64),
        None if boxes is None else np.asarray(boxes, np.float64).reshape(len(scores), 4),
    )
    found = (poses.scores > 0) & np.isfinite(poses.keypoints).all((1, 2))
    return poses.at(found if boxes is None else found & np.isfinite(boxes).all(1))


def only_person(people: People) -> Floats:
    """The keypoints [K, 3] of a crop's one person. Raises ValueError where there is not exactly one."""
    if len(people) != 1:
        raise ValueError(f"a crop holds one person, got {len(people)}")
    return np.asarray(people.keypoints[0], np.float64)
