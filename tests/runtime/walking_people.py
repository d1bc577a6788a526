"""A generated video of people whose poses are known, and stand-ins for the networks that find them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
from numpy.typing import ArrayLike

from nas.arrays import Floats
from nas.codecs import Poses
from nas.runtime.detector import FoundBoxes
from nas.runtime.frames import ColourFrame
from nas.runtime.pipeline import PosePipeline
from nas.runtime.poses import box_areas, pose_boxes
from nas.space.skeleton import Skeleton

SIZE = (360, 640)
RATE = 30.0
HEIGHT = 150.0
SKELETON = Skeleton.load("coco17")

_UPRIGHT = np.array(
    [
        (0.0, -0.46), (0.02, -0.48), (-0.02, -0.48), (0.04, -0.47), (-0.04, -0.47), (0.1, -0.3), (-0.1, -0.3),
        (0.13, -0.13), (-0.13, -0.13), (0.14, 0.02), (-0.14, 0.02), (0.06, 0.02), (-0.06, 0.02), (0.07, 0.25),
        (-0.07, 0.25), (0.07, 0.47), (-0.07, 0.47),
    ]
)  # fmt: skip
_SWINGING = {"left_wrist": 0.06, "right_wrist": -0.06, "left_ankle": -0.1, "right_ankle": 0.1}


@dataclass(frozen=True)
class Walker:
    """Somebody who goes along a line.

    Args:
        start: x at second 0, px.
        speed: px per second.
        y: of the middle, px; who stands lower is in front.
        since, until: seconds between which they are there.
    """

    start: float
    speed: float
    y: float = 180.0
    since: float = 0.0
    until: float = np.inf

    def keypoints(self, seconds: float) -> Floats:
        """[17, 3] px."""
        unit = _UPRIGHT.copy()
        swing = np.sin(2 * np.pi * 0.9 * seconds) * bool(self.speed)
        for name, reach in _SWINGING.items():
            unit[SKELETON.index(name), 0] += reach * swing
        place = (self.start + self.speed * seconds, self.y)
        return np.column_stack([unit * HEIGHT + place, np.full(17, 0.9)])


@dataclass
class Walk:
    """Frames of people; `now` is the number of the one that the networks see.

    Args:
        people: who is there.
        noise: standard deviation of every found coordinate, px.
    """

    people: Sequence[Walker]
    noise: float = 0.8
    now: int = 0
    detections: list[int] = field(default_factory=list)
    """The frames in which somebody asked the detector."""

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(0)

    @property
    def seconds(self) -> float:
        """When the frame was taken."""
        return self.now / RATE

    def truth(self) -> dict[int, Floats]:
        """The poses [17, 3] of those in sight, by their place in `people`."""
        present = {
            number: walker.keypoints(self.seconds)
            for number, walker in enumerate(self.people)
            if walker.since <= self.seconds < walker.until
        }
        return {number: pose for number, pose in present.items() if _inside(pose) > 0.3}

    def frame(self) -> ColourFrame:
        """A picture with a block for each person, those in front last."""
        pixels = np.full((*SIZE, 3), 90, np.uint8)
        order = sorted(self.truth().items(), key=lambda item: self.people[item[0]].y)
        for number, pose in order:
            x0, y0, x1, y1 = np.clip(pose_boxes(pose[None])[0], 0, max(SIZE)).astype(int)
            pixels[y0:y1, x0:x1] = 150 + 30 * (number % 4)
        return ColourFrame(pixels)

    def visible(self) -> list[int]:
        """Those who are not hidden behind somebody else."""
        truth = self.truth()
        boxes = {number: pose_boxes(pose[None])[0] for number, pose in truth.items()}
        return [
            number
            for number in truth
            if not any(
                self.people[other].y > self.people[number].y and overlap(boxes[number], boxes[other]) > 0.7
                for other in truth
                if other != number
            )
        ]

    def detect(self, frames: Sequence[ColourFrame]) -> list[FoundBoxes]:
        """A detector that sees everybody who is not hidden."""
        self.detections.append(self.now)
        truth = self.truth()
        boxes = np.array([pose_boxes(truth[number][None])[0] for number in self.visible()]).reshape(-1, 4)
        return [FoundBoxes(boxes, np.full(len(boxes), 0.9))]

    def pose_in(self, box: Floats) -> Poses:
        """What a network for crops says of a box: whoever fills it best, those in front first."""
        shares = {
            number: overlap(box, pose_boxes(pose[None])[0]) + 1e-3 * self.people[number].y
            for number, pose in self.truth().items()
            if number in self.visible()
        }
        best = max(shares, key=shares.__getitem__, default=None)
        if best is None or shares[best] < 0.35:
            return Poses(self._rng.uniform(0, 300, (1, 17, 3)) * (1, 1, 0), np.array([0.02]))
        pose = self.truth()[best]
        pose[:, :2] += self._rng.normal(0, self.noise, (17, 2))
        return Poses(pose[None], np.array([0.8]))


class WalkPipeline(PosePipeline):
    """Answers as a network for crops, with a detector, would in a walk.

    Args:
        walk: what is to be seen.
        task: "image" for a network that finds everybody by itself.
    """

    def __init__(self, walk: Walk, *, task: str = "crop") -> None:
        model = SimpleNamespace(task=task, skeleton=SKELETON, resolution=(64, 48), padding=1.25, codec=None)
        super().__init__(model, walk.detect if task == "crop" else None)  # type: ignore[arg-type]
        self.walk = walk
        self.boxes: list[int] = []
        """How many boxes the network saw in each frame."""

    def by_box(self, image: object, boxes: ArrayLike | None = None, **_: object) -> list[Poses]:
        if boxes is None:
            boxes = [pose_boxes(self.walk.truth()[number][None])[0] for number in self.walk.visible()]
        looked = np.asarray(boxes, np.float64).reshape(-1, 4)
        self.boxes.append(len(looked))
        return [self.walk.pose_in(box) for box in looked]


def overlap(first: Floats, second: Floats) -> float:
    """Intersection over union of two boxes."""
    shared = np.concatenate([np.maximum(first[:2], second[:2]), np.minimum(first[2:], second[2:])])
    inner, *areas = box_areas(np.stack([shared, first, second]))
    return float(inner / (sum(areas) - inner))


def _inside(pose: Floats) -> float:
    low, high = np.zeros(2), np.array(SIZE[::-1]) - 1.0
    return float(((pose[:, :2] >= low) & (pose[:, :2] <= high)).all(1).mean())
