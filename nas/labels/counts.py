"""What labelling did, joint by joint and person by person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.labels.merge import MergedJoints
from nas.runtime.sources import Failure

JOINTS = ("given", "confirmed", "dropped", "filled", "labelled")
"""Of the joints that were given: those that the network sees at the same place and those that it contradicts;
those that were missing and are its; all that are labelled now."""

PEOPLE = ("people", "given", "merged", "contradicted", "unseen", "added", "labelled")
"""People of the file, those given, of them those merged with a pose, those whose pose contradicts them as a
whole and those without one; people added; people with labelled joints. Crowds are none."""


class LabelCounts:
    """Counts for a skeleton's joints, and for people.

    Args:
        joints: their names.
    """

    def __init__(self, joints: Sequence[str]) -> None:
        self._names = tuple(joints)
        self._joints = {name: np.zeros(len(self._names), np.int64) for name in JOINTS}
        self._people = dict.fromkeys(PEOPLE, 0)

    def add(
        self, keypoints: NDArray[np.floating], *people: str, given: NDArray[np.floating] | None = None
    ) -> None:
        """Count a person of the file.

        Args:
            keypoints: [K, 3] as they are now.
            people: what the person is counted as besides.
            given: [K, 3] as they were.
        """
        labelled = keypoints[:, 2] > 0
        self._joints["labelled"] += labelled
        if given is not None:
            self._joints["given"] += given[:, 2] > 0
        for name in ("people", *people, *(["labelled"] if labelled.any() else [])):
            self._people[name] += 1

    def merge(self, merged: MergedJoints) -> None:
        """Count what became of a person's joints."""
        self._joints["confirmed"] += merged.confirmed
        self._joints["dropped"] += merged.dropped
        self._joints["filled"] += merged.filled

    @property
    def joints(self) -> dict[str, dict[str, int]]:
        """By joint."""
        return {
            joint: {name: int(counts[at]) for name, counts in self._joints.items()}
            for at, joint in enumerate(self._names)
        }

    @property
    def people(self) -> dict[str, int]:
        """By kind."""
        return dict(self._people)


@dataclass(frozen=True)
class LabelReport:
    """What became of a set of images.

    Args:
        file: of the labels.
        merged: whether they were merged with given ones.
        images: that were looked at.
        people, joints: see `PEOPLE` and `JOINTS`.
        failures: images and folders that could not be read.
    """

    file: Path
    merged: bool
    images: int
    people: Mapping[str, int]
    joints: Mapping[str, Mapping[str, int]]
    failures: Sequence[Failure] = field(default=(), repr=False)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        failed = [{"image": str(failure.path), "reason": failure.reason} for failure in self.failures]
        return {
            "file": str(self.file),
            "merged": self.merged,
            "images": self.images,
            "people": dict(self.people),
            "joints": {joint: dict(counts) for joint, counts in self.joints.items()},
            "failed": failed,
        }
