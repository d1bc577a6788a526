"""Figures of data sets."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dotted_people import JOINTS, person

from nas.cli.main import run
from nas.data.stats import dataset_stats
from nas.errors import UserError
from nas.space.skeleton import Skeleton


def labelled(count: int, v: int = 2) -> np.ndarray:
    """The first `count` joints in a row, of visibility v."""
    keypoints = np.zeros((len(JOINTS), 3))
    for k in range(count):
        keypoints[k] = (10 + 5 * k, 20, v)
    return keypoints


@pytest.fixture
def folder(write_set: Any) -> Path:
    """Three images (40 x 60, 40 x 60, 80 x 100) with 2, 0 and 1 people, and a crowd."""
    images = [np.zeros((*size, 3), np.uint8) for size in ((40, 60), (40, 60), (80, 100))]
    people = [
        person(1, 1, labelled(3), bbox=[0, 0, 20, 30], area=500.0),
        person(2, 1, labelled(1, v=1), bbox=[0, 0, 30, 40], area=1024.0),
        person(3, 3, labelled(0), bbox=[0, 0, 60, 60], area=2000.0),
        person(4, 3, labelled(0), bbox=[0, 0, 90, 60], area=3000.0, iscrowd=1),
    ]
    return Path(write_set(images, people))


def test_counts(folder: Path) -> None:
    (split,) = dataset_stats(folder / "set.json")
    assert (split.images, split.labelled_images) == (3, 1)
    assert (split.people, split.labelled, split.crowds) == (3, 2, 1)
    assert split.per_image == (1, 1, 1)
    assert split.joints[JOINTS[0]] == (2, 1)
    assert split.joints[JOINTS[1]] == (1, 0)
    assert split.joints[JOINTS[3]] == (0, 0)
    assert split.joints_per_person == 2.0
    assert split.by_area == (1, 1, 0)


def test_real_people(shared_data: Path) -> None:
    path = shared_data / "coco_mini" / "annotations" / "coco17_train.json"
    (split,) = dataset_stats(path)
    assert (split.images, split.people, split.labelled, split.crowds) == (80, 292, 167, 8)
    assert split.box_height == tuple(sorted(split.box_height))
    assert split.joints["left_shoulder"][0] > 0.7 * split.labelled > split.joints["left_ankle"][0] > 0


def test_spreads_are_of_labelled_people(folder: Path) -> None:
    (split,) = dataset_stats(folder / "set.json")
    np.testing.assert_allclose(split.box_height, [30.5, 32.5, 35, 37.5, 39.5])
    np.testing.assert_allclose(split.box_width, [20.5, 22.5, 25, 27.5, 29.5])
    assert split.area[2] == 762.0
    assert split.image_height[2] == 40
    assert split.image_width[2] == 60


def test_another_skeleton_counts_its_own_joints(folder: Path) -> None:
    hands = Skeleton(name="hands", keypoints=("left_hand", "tail"), flip_pairs=(), sigmas=())
    (split,) = dataset_stats(folder / "set.json", skeleton=hands)
    assert split.labelled == 1
    assert split.joints == {"left_hand": (1, 0), "tail": (0, 0)}


def test_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "stats", str(folder), "--json"]) == 0
    (split,) = json.loads(capsys.readouterr().out)["splits"]
    assert split["images_by_people"] == {"0": 1, "1": 1, "2": 1}
    assert split["joints"]["nose"] == {"labelled": 2, "occluded": 1, "share": 1.0}
    assert split["people_by_area"] == {"small": 1, "medium": 1, "large": 0}
    assert split["box_height"]["p50"] == 35
    assert run(["data", "stats", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "crowd regions" in shown
    assert "100.0%" in shown
    assert run(["data", "stats", str(folder / "none.json")]) == 2


def test_real_sets(shared_data: Path) -> None:
    train, val = dataset_stats(shared_data / "coco_mini")
    assert (train.images, val.images) == (80, 35)
    assert train.labelled + val.labelled == 260
    assert train.crowds == 8
    assert sum(n * images for n, images in enumerate(train.per_image)) == train.people


def test_a_set_that_the_loader_refuses(folder: Path) -> None:
    content = json.loads((folder / "set.json").read_text())
    del content["annotations"][0]["bbox"]
    (folder / "set.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="annotation 1: 'bbox' is missing"):
        dataset_stats(folder)
