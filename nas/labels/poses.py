"""The poses of images as they are found, in a file beside the labels that they become.

Its first line says how they are found, every further one has those of an image: work that was stopped goes
on.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from nas.arrays import Floats
from nas.documents import Fields
from nas.errors import UserError
from nas.files import append_row, read_rows, writing
from nas.locks import lock_file

_VERSION = 1


@dataclass(frozen=True, eq=False)
class TaughtPose:
    """A pose that a network found.

    Args:
        keypoints: [K, 3] x, y (px), score.
        score: of the pose; 0 where the network found none in its box.
        bbox: x, y, width, height that it was looked for in; None where the whole image was looked at.
    """

    keypoints: Floats
    score: float
    bbox: tuple[float, ...] | None

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` gives an equal pose back."""
        box = None if self.bbox is None else list(self.bbox)
        return {"keypoints": self.keypoints.ravel().tolist(), "score": self.score, "bbox": box}

    @classmethod
    def from_json(cls, data: Any, place: str, *, joints: int) -> Self:
        """The pose of plain data. Raises UserError that names the field."""
        fields = Fields(data, place)
        box = None if fields.get("bbox") is None else fields.numbers("bbox", count=4)
        points = fields.numbers("keypoints", count=3 * joints)
        return cls(np.array(points, np.float64).reshape(-1, 3), fields.number("score"), box)


@dataclass(frozen=True, eq=False)
class ImagePoses:
    """The poses of an image of size (h, w)."""

    size: tuple[int, int]
    poses: tuple[TaughtPose, ...]


class PoseFile:
    """The file of poses.

    Args:
        path: of it.
        head: how poses are found, plain data; a file with another one is refused.
        joints: of a pose.
    """

    def __init__(self, path: Path, head: Mapping[str, Any], *, joints: int) -> None:
        self.path = path
        self._head = json.loads(json.dumps({"poses": _VERSION, **head}))
        self._joints = joints
        self.found: dict[int, ImagePoses] = {}
        """By the ids of images, what is in the file."""

    @contextmanager
    def open(self) -> Iterator[Self]:
        """Within, poses can be added, by this process alone.

        Raises:
            UserError: another process writes the file, or it is of other poses than these.
        """
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = self.path.open("a+b")
        with file:
            lock_file(file.fileno(), self.path)
            if self.path.stat().st_size:
                self._read()
            else:
                append_row(self.path, self._head)
            yield self

    def add(self, image: int, found: ImagePoses) -> None:
        """Put an image's poses on the disk. Raises UserError where the disk refuses."""
        poses = [pose.to_json() for pose in found.poses]
        append_row(self.path, {"image": image, "size": list(found.size), "poses": poses})
        self.found[image] = found

    def _read(self) -> None:
        rows = read_rows(self.path)
        _, head = next(rows, (0, {}))
        if head != self._head:
            other = sorted(name for name in self._head if head.get(name) != self._head[name])
            what = "is no file of poses" if "poses" not in head else f"is of other {', '.join(other)}"
            raise UserError(
                f"{self.path}: {what}; finish that work with its own command, remove the file, or name "
                "another `output`"
            )
        for number, row in rows:
            fields = Fields(row, f"{self.path}, line {number}")
            height, width = (int(side) for side in fields.numbers("size", least=1, count=2))
            poses = fields.get("poses")
            image = fields.integer("image", least=-(2**63))
            self.found[image] = ImagePoses(
                (height, width),
                tuple(TaughtPose.from_json(pose, fields.place, joints=self._joints) for pose in poses),
            )
