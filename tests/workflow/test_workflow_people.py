"""What is counted of the people whom a network finds."""

from pathlib import Path

import numpy as np

from nas.data import load_annotations
from nas.demo.people import generate
from nas.runtime.poses import MIN_KEYPOINT, MIN_POSE
from nas.space import Skeleton
from nas.workflow.people import DrawnCount, count_drawn


def test_drawn_are_poses_that_match_and_are_sure(tmp_path: Path) -> None:
    file = generate(tmp_path, images=6, seed=3, people_per_image=(1, 2), workers=1, progress=lambda *_: None)
    annotations = load_annotations(file, tmp_path / "images", Skeleton.load("coco17"))
    people = annotations.people
    rows = np.flatnonzero(people.labelled)
    assert len(rows) >= 5

    def answer(
        row: int, *, pose: float = 0.9, keypoints: float = 0.9, shift: float = 0.0
    ) -> dict[str, object]:
        found = people.keypoints[row].copy()
        found[:, 0] += shift
        found[:, 2] = keypoints
        return {"score": pose, "keypoints": found.ravel().tolist()}

    answers = [answer(row, pose=MIN_POSE, keypoints=MIN_KEYPOINT) for row in rows]
    assert count_drawn(answers, annotations) == DrawnCount(matched=len(rows), drawn=len(rows))
    answers[0] = answer(rows[0], pose=MIN_POSE - 0.01)
    answers[1] = answer(rows[1], keypoints=MIN_KEYPOINT - 0.01)
    answers[2] = answer(rows[2], shift=1000.0)
    assert count_drawn(answers, annotations) == DrawnCount(matched=len(rows) - 1, drawn=len(rows) - 3)
