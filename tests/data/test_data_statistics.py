"""Statistics of people."""

from pathlib import Path

from nas.data import load_annotations, people_statistics
from nas.space.skeleton import Skeleton


def test_real_people(shared_data: Path) -> None:
    skeleton = Skeleton.load("coco17")
    path = shared_data / "coco_mini" / "annotations" / "coco17_train.json"
    statistics = people_statistics([load_annotations(path, None, skeleton)])
    assert (statistics.images, statistics.people, statistics.labelled, statistics.crowds) == (80, 292, 167, 8)
    assert statistics.box_height == tuple(sorted(statistics.box_height))
    assert 2 < statistics.people_per_image < 3
    shares = dict(zip(skeleton.keypoints, statistics.labelled_share, strict=True))
    assert shares["left_shoulder"] > 0.7 > shares["left_ankle"] > 0
