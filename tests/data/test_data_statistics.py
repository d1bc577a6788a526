"""Statistics of people."""

from pathlib import Path
from typing import Any

import numpy as np
from dotted_people import person

from nas.data import load_annotations, mean_pose, people_statistics
from nas.space.skeleton import Skeleton


def test_the_mean_pose_is_relative_to_boxes(write_set: Any, skeleton: Skeleton) -> None:
    first, second = np.zeros((7, 3)), np.zeros((7, 3))
    first[0], first[1] = (9.5, 4.5, 2), (14.5, 9.5, 1)
    second[0] = (99.5, 99.5, 2)
    people = [person(1, 1, first, bbox=[0, 0, 20, 10]), person(2, 1, second, bbox=[100, 80, 40, 40])]
    folder = write_set([np.zeros((200, 200, 3), np.uint8)], people)
    annotations = load_annotations(folder / "set.json", None, skeleton)
    expected = np.full((7, 2), 0.5)
    expected[0] = np.mean([[0.5, 0.5], [0, 0.5]], axis=0)
    expected[1] = (0.75, 1.0)
    np.testing.assert_allclose(mean_pose([annotations]), expected)


def test_real_people(shared_data: Path) -> None:
    skeleton = Skeleton.load("coco17")
    path = shared_data / "coco_mini" / "annotations" / "coco17_train.json"
    statistics = people_statistics([load_annotations(path, None, skeleton)])
    assert (statistics.images, statistics.people, statistics.labelled, statistics.crowds) == (80, 292, 167, 8)
    assert statistics.box_height == tuple(sorted(statistics.box_height))
    assert len(statistics.labelled_share) == 17
    assert 2 < statistics.people_per_image < 3
    pose = mean_pose([load_annotations(path, None, skeleton)])
    heights = pose[[skeleton.index(name) for name in ("nose", "left_shoulder", "left_hip", "left_ankle")], 1]
    assert (np.diff(heights) > 0).all()
