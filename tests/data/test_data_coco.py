"""Reading COCO keypoint files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dotted_people import JOINTS, person

from nas.data import load_annotations
from nas.errors import UserError
from nas.space.skeleton import Skeleton

BLANK = np.zeros((40, 60, 3), np.uint8)


def joints_at(*places: tuple[float, float, int]) -> np.ndarray:
    keypoints = np.zeros((len(JOINTS), 3))
    keypoints[: len(places)] = places
    return keypoints


def test_real_annotations_come_back_as_they_were(shared_data: Path) -> None:
    path = shared_data / "coco_mini" / "annotations" / "coco17_train.json"
    annotations = load_annotations(path, None, Skeleton.load("coco17"))
    raw = json.loads(path.read_text())
    assert [image.id for image in annotations.images] == [image["id"] for image in raw["images"]]
    written = {row["id"]: row for row in annotations.to_coco()["annotations"]}
    assert len(written) == len(raw["annotations"])
    for row in raw["annotations"]:
        assert {key: row[key] for key in written[row["id"]]} == written[row["id"]]
    assert annotations.people.labelled.sum() == 167
    assert annotations.people.crowd.sum() == 8


def test_real_joints_are_mapped_by_name(shared_data: Path) -> None:
    folder = shared_data / "lspet" / "annotations"
    coco, crowdpose = Skeleton.load("coco17"), Skeleton.load("crowdpose14")
    as_coco = load_annotations(folder / "coco17_val.json", None, coco)
    mapped = load_annotations(folder / "crowdpose14_val.json", None, coco)
    np.testing.assert_array_equal(mapped.people.keypoints, as_coco.people.keypoints)
    np.testing.assert_array_equal(mapped.people.num_keypoints, as_coco.people.num_keypoints)
    back = load_annotations(folder / "coco17_val.json", None, crowdpose)
    assert not back.people.keypoints[:, crowdpose.index("neck")].any()
    shoulder = back.people.keypoints[:, crowdpose.index("left_shoulder")]
    np.testing.assert_array_equal(shoulder, as_coco.people.keypoints[:, coco.index("left_shoulder")])


def test_a_person_who_loses_all_joints_becomes_a_region_without_labels(write_set: Any) -> None:
    people = [person(1, 1, joints_at((9, 9, 2))), person(2, 1, joints_at((0, 0, 0), (20, 20, 1)))]
    folder = write_set([BLANK], people)
    only_hand = Skeleton(name="hand", keypoints=("left_hand",), flip_pairs=(), sigmas=(0.1,))
    mapped = load_annotations(folder / "set.json", None, only_hand)
    assert mapped.people.labelled.tolist() == [False, True]
    assert mapped.people.num_keypoints.tolist() == [0, 1]


def test_boxes_are_in_the_keypoints_coordinates(write_set: Any, skeleton: Skeleton) -> None:
    folder = write_set([BLANK], [person(1, 1, joints_at((9, 9, 2)), bbox=[0, 0, 60, 40])])
    people = load_annotations(folder / "set.json", None, skeleton).people
    assert people.boxes.tolist() == [[-0.5, -0.5, 59.5, 39.5]]


def test_subsets_keep_people_with_their_images(write_set: Any, skeleton: Skeleton) -> None:
    rows = [person(10 * image + k, image, joints_at((image, k, 2))) for k in (1, 2) for image in (3, 1, 2)]
    folder = write_set([BLANK] * 3, rows)
    whole = load_annotations(folder / "set.json", None, skeleton)
    part = whole.select([3, 1])
    assert [image.id for image in part.images] == [1, 3]
    assert part.people.ids[part.people_of(0)].tolist() == [11, 12]
    assert part.people.ids[part.people_of(1)].tolist() == [31, 32]
    assert whole.first(1).people.ids.tolist() == [11, 12]
    with pytest.raises(UserError, match="no image with id 7"):
        whole.select([1, 7])


GOOD = joints_at((9, 9, 2))

FAULTS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no categories": (lambda c: c.pop("categories"), "no list 'categories'"),
    "detection only": (lambda c: c["categories"][0].pop("keypoints"), "no category names its 'keypoints'"),
    "foreign joints": (lambda c: c["categories"][0].update(keypoints=list("abcdefg")), "none in common"),
    "joint count": (lambda c: c["categories"][0]["keypoints"].pop(), "has 21 numbers where 18 are needed"),
    "joint twice": (lambda c: c["categories"][0].update(keypoints=["nose"] * 7), "a keypoint twice"),
    "image twice": (lambda c: c["images"].append(c["images"][0]), "image id 1 appears twice"),
    "person twice": (lambda c: c["annotations"].append(c["annotations"][0]), "annotation id 1 appears twice"),
    "no such image": (lambda c: c["annotations"][0].update(image_id=5), "belongs to image 5"),
    "no image": (lambda c: c.update(images=[]), "the split is empty"),
    "nobody": (lambda c: c.update(annotations=[]), "the split is empty"),
    "no area": (lambda c: c["annotations"][0].pop("area"), "annotation 1: 'area' is missing"),
    "odd box": (lambda c: c["annotations"][0].update(bbox=[1, 2, 3]), "'bbox' has 3 numbers"),
    "text in box": (lambda c: c["annotations"][0].update(bbox=[1, 2, 3, "x"]), "'bbox' holds something"),
    "infinite": (lambda c: c["annotations"][0].update(area=float("inf")), "'area' is not finite"),
    "visibility": (lambda c: c["annotations"][0]["keypoints"].__setitem__(2, 3), "v is none of 0, 1, 2"),
    "counts": (lambda c: c["annotations"][0].update(num_keypoints="2"), "'num_keypoints' must be an integer"),
    "size": (lambda c: c["images"][0].pop("height"), "'height' must be an integer"),
    "name": (lambda c: c["images"][0].pop("file_name"), "no 'file_name'"),
    "not objects": (lambda c: c.update(images=[3]), "images[0] is not an object"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_one_line_that_names_the_file(write_set: Any, skeleton: Skeleton, fault: str) -> None:
    spoil, complaint = FAULTS[fault]
    path = write_set([BLANK], [person(1, 1, GOOD)]) / "set.json"
    content = json.loads(path.read_text())
    spoil(content)
    path.write_text(json.dumps(content))
    with pytest.raises(UserError) as caught:
        load_annotations(path, path.parent / "images", skeleton)
    message = str(caught.value)
    assert complaint in message
    assert str(path) in message
    assert "\n" not in message


def test_missing_and_broken_files(write_set: Any, skeleton: Skeleton) -> None:
    folder = write_set([BLANK], [person(1, 1, GOOD)])
    with pytest.raises(UserError, match=r"none\.json: the annotation file does not exist"):
        load_annotations(folder / "none.json", None, skeleton)
    with pytest.raises(UserError, match="the image folder does not exist"):
        load_annotations(folder / "set.json", folder / "photos", skeleton)
    (folder / "set.json").write_text('{"images": [\n oops')
    with pytest.raises(UserError, match="broken JSON at line 2"):
        load_annotations(folder / "set.json", None, skeleton)
    (folder / "set.json").write_bytes(b"\xff\xd8\x00\x81")
    with pytest.raises(UserError, match="not a JSON text file"):
        load_annotations(folder / "set.json", None, skeleton)
    (folder / "set.json").write_text("[1]")
    with pytest.raises(UserError, match="not a COCO keypoint file"):
        load_annotations(folder / "set.json", None, skeleton)
