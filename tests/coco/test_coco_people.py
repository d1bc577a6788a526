"""Reading the people of COCO keypoint files."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coco_files import JOINTS, NOWHERE, PLACES, THREE, content, row, written

from nas.coco import PeopleFile, read_people
from nas.coco.images import lies_outside
from nas.coco.segmentation import Polygons, RunLengths
from nas.errors import UserError
from nas.space.skeleton import Skeleton

SQUARE = [[10, 10, 20, 10, 20, 20, 10, 20]]
NAN, INFINITY = float("nan"), float("inf")


def read(folder: Path, *rows: dict[str, Any], **changes: Any) -> PeopleFile:
    return read_people(written(folder, content(*rows, **changes)), THREE)


def image(**changes: Any) -> list[dict[str, Any]]:
    return [{"id": 1, "file_name": "1.jpg", "height": 40, "width": 60} | changes]


def same(found: PeopleFile, expected: PeopleFile) -> None:
    assert found.images == expected.images
    for name, column in vars(expected.people).items():
        np.testing.assert_array_equal(getattr(found.people, name), column)


@pytest.mark.parametrize(
    "change",
    [
        {"iscrowd": "0"},
        {"iscrowd": False},
        {"iscrowd": 0.0},
        {"iscrowd": None},
        {"iscrowd": ...},
        {"num_keypoints": None},
        {"num_keypoints": ...},
        {"num_keypoints": 3.0},
        {"num_keypoints": "3"},
        {"id": 1.0, "image_id": 1.0, "category_id": 1.0},
        {"id": "1", "image_id": "1", "category_id": "1"},
        {"segmentation": None},
        {"segmentation": []},
        {"segmentation": SQUARE, "track_id": {"a": [1]}},
    ],
)
def test_what_is_harmless_changes_nothing(tmp_path: Path, change: dict[str, Any]) -> None:
    expected = read(tmp_path, row())
    found = read(tmp_path, row(**change))
    same(found, expected)
    assert not found.remarks


@pytest.mark.parametrize("nothing", [[], None, ..., NOWHERE, [None, None, 0] * 3, [NAN, 1e12, 0] * 3])
def test_no_keypoints_are_none(tmp_path: Path, nothing: Any) -> None:
    found = read(tmp_path, row(), row(2, keypoints=nothing, num_keypoints=0)).people
    assert found.labelled.tolist() == [True, False]
    assert not found.keypoints[1].any()


@pytest.mark.parametrize(
    "change",
    [{"height": 40.0, "width": "60"}, {"id": 1.0}, {"id": "1"}, {"license": None, "date_captured": "x"}],
)
def test_harmless_images(tmp_path: Path, change: dict[str, Any]) -> None:
    same(read(tmp_path, images=image(**change)), read(tmp_path, images=image()))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_marks_at_the_beginning_are_passed_over(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "marked.json"
    path.write_text(json.dumps(content()), encoding=encoding)
    same(read_people(path, THREE), read(tmp_path))


@pytest.mark.parametrize("yes", [1, 1.0, True, "1", "true"])
def test_crowds(tmp_path: Path, yes: Any) -> None:
    assert read(tmp_path, row(), row(2, iscrowd=yes)).people.crowd.tolist() == [False, True]


@pytest.mark.parametrize("name", ["./a/b.jpg", "a//b.jpg", "a\\b.jpg", "a/c/../b.jpg"])
def test_names_are_read_alike(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, images=image(file_name=name)).images[0].file == "a/b.jpg"


def test_names_that_lead_outside() -> None:
    outside = ["/a.jpg", "../a.jpg", "..", "C:/a.jpg"]
    assert [lies_outside(name) for name in outside] == [True] * 4
    assert [lies_outside(name) for name in ("a.jpg", "a/b.jpg", "..a.jpg", ".a/b")] == [False] * 4


def annotation(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda document: document["annotations"][0].update(changes)


def first_image(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda document: document["images"][0].update(changes)


FAULTS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no categories": (lambda c: c.pop("categories"), "no list 'categories'"),
    "foreign joints": (lambda c: c["categories"][0].update(keypoints=list("abc")), "none in common"),
    "joint count": (lambda c: c["categories"][0]["keypoints"].pop(), "has 9 numbers where 6 are needed"),
    "image twice": (lambda c: c["images"].append(c["images"][0]), "image id 1 appears twice"),
    "person twice": (lambda c: c["annotations"].append(c["annotations"][0]), "annotation id 1 appears twice"),
    "no such image": (annotation(image_id=5), "annotation 1: image 5 is not listed"),
    "no image": (lambda c: c.update(images=[]), "the split is empty"),
    "nobody": (lambda c: c.update(annotations=[]), "the split is empty"),
    "odd box": (annotation(bbox=[1, 2, 3]), "'bbox' has 3 numbers"),
    "no box": (annotation(bbox=None), "'bbox' is missing"),
    "text in box": (annotation(bbox=[1, 2, 3, "x"]), "'bbox' holds something"),
    "infinite box": (annotation(bbox=[1, 2, 3, INFINITY]), "'bbox' is at an impossible place"),
    "box nowhere": (annotation(bbox=[1, 2, 1e9, 3]), "'bbox' is at an impossible place"),
    "area": (annotation(area="300"), "'area' must be a number"),
    "visibility": (annotation(keypoints=[1, 1, 3] * 3), "v is none of 0, 1, 2: nose 3"),
    "visibility not a number": (annotation(keypoints=[1, 1, NAN] * 3), "v is none of 0, 1, 2"),
    "count": (annotation(num_keypoints="many"), "'num_keypoints' must be an integer"),
    "crowd": (annotation(iscrowd="maybe"), "'iscrowd' must be 0 or 1"),
    "nested": (annotation(keypoints=[[1, 1, 2]] * 3), "'keypoints' is a list of lists"),
    "fields": (annotation(keypoints=[{"x": 1}] * 3), "'keypoints' is a list of lists or of fields"),
    "joints of words": (annotation(keypoints=["1", "1", "2"] * 3), "'keypoints' holds something"),
    "joints as text": (annotation(keypoints="none"), "'keypoints' must be a list of numbers"),
    "id": (annotation(id="one"), "the 'id' is no whole number"),
    "no size": (lambda c: c["images"][0].pop("height"), "image 1 has the impossible height None"),
    "no extent": (first_image(width=0), "the impossible width 0"),
    "no such size": (first_image(width=2**31), "the impossible width 2147483648"),
    "half a pixel": (first_image(width=60.5), "the impossible width 60.5"),
    "no name": (lambda c: c["images"][0].pop("file_name"), "no usable 'file_name'"),
    "no name for a file": (first_image(file_name="a\0.jpg"), "no usable 'file_name'"),
    "half a character": (first_image(file_name="\ud800.jpg"), "no usable 'file_name'"),
    "crowd index": (first_image(crowdIndex=NAN), "a 'crowdIndex' that is no number"),
    "not objects": (lambda c: c.update(images=[3]), "images[0] is not an object"),
    "no annotation": (lambda c: c["annotations"].append(3), "annotations[1] is not an object"),
    "flat boxes": (
        annotation(bbox=[0, 0, 0, 0]),
        "people with labelled keypoints, but all their boxes are without extent",
    ),
    "counts of none": (
        annotation(num_keypoints=0),
        "people with labelled keypoints, but their 'num_keypoints'",
    ),
    "nobody labelled": (
        annotation(keypoints=NOWHERE),
        "nobody in it has a labelled keypoint of skeleton three",
    ),
    "no region at all": (
        lambda c: c["annotations"].append(row(2, iscrowd=1, bbox=[0, 0, 0, 0], segmentation=[[]])),
        "annotation 2: its segmentation has a polygon of 0 numbers",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_one_line_that_names_the_file(tmp_path: Path, fault: str) -> None:
    spoil, complaint = FAULTS[fault]
    document = json.loads(json.dumps(content()))
    spoil(document)
    path = written(tmp_path, document)
    with pytest.raises(UserError) as caught:
        read_people(path, THREE)
    message = str(caught.value)
    assert complaint in message
    assert message.startswith(f"{path}: ")
    assert message.isprintable()


def test_missing_and_broken_files(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    with pytest.raises(UserError, match=r"set\.json: the annotation file does not exist"):
        read_people(path, THREE)
    for text, said in (
        (b'{"images": [\n oops', "broken JSON at line 2"),
        (b"\xff\xd8\x00\x81", "not a JSON text file"),
        (b"[1]", "not a COCO file"),
        (b"[" * 100_000, "without measure"),
    ):
        path.write_bytes(text)
        with pytest.raises(UserError, match=said):
            read_people(path, THREE)


@pytest.mark.parametrize(
    "area", [..., None, 0, -5.0, NAN, INFINITY, -INFINITY, 1e300, 2401.0 * 1.02, 0.1, 10**400]
)
def test_areas_that_cannot_be_used_are_computed(tmp_path: Path, area: Any) -> None:
    rows = (
        row(1),
        row(2, area=area),
        row(3, area=area, segmentation=SQUARE),
        row(4, area=area, segmentation=[[1]]),
    )
    found = read(tmp_path, *rows)
    assert found.people.areas.tolist() == [300, 0.53 * 600, 100, 0.53 * 600]
    assert "3 areas cannot be used" in found.remarks[0]
    assert "the first: annotation 2: " in found.remarks[0]
    assert found.people.labelled.all()


def test_areas_up_to_those_of_image_and_box_stay(tmp_path: Path) -> None:
    wide = row(2, area=3000.0, bbox=[-10, -5, 80, 50])
    assert read(tmp_path, row(1, area=2400.0), wide).people.areas.tolist() == [2400, 3000]


@pytest.mark.parametrize("place", [1e9, -1e9, 1e300, NAN, INFINITY, 40_000.0])
def test_joints_at_impossible_places_are_unlabelled(tmp_path: Path, place: float) -> None:
    far = [*PLACES[:3], place, 12.5, 2, *PLACES[6:]]
    found = read(tmp_path, row(keypoints=far), row(2))
    assert found.people.keypoints[0].tolist() == [PLACES[:3], [0, 0, 0], PLACES[6:]]
    assert found.people.num_keypoints.tolist() == [2, 3]
    (remark,) = found.remarks
    assert "1 people have labelled joints at impossible places" in remark
    assert "left_hand" in remark


def test_joints_beside_the_image_stay(tmp_path: Path) -> None:
    beside = [*PLACES[:3], -70.0, 120.0, 2, *PLACES[6:]]
    found = read(tmp_path, row(keypoints=beside))
    assert found.people.keypoints[0, 1].tolist() == [-70, 120, 2]
    assert not found.remarks


def test_regions_keep_what_can_be_read_of_them(tmp_path: Path) -> None:
    mask = {"size": [40, 60], "counts": [5, 10, 2385]}
    rows = (
        row(1, segmentation=SQUARE),
        row(2, iscrowd=1, segmentation=mask),
        row(3, keypoints=NOWHERE, num_keypoints=0, segmentation=SQUARE),
        row(4, iscrowd=1, segmentation=[[]]),
        row(5, keypoints=[], num_keypoints=0, segmentation={"size": [20, 20], "counts": [400]}),
        row(6, segmentation="none"),
    )
    found = read(tmp_path, *rows)
    one, two, three, four, five, six = found.people.segmentations
    assert one is four is five is six is None
    assert isinstance(two, RunLengths)
    assert isinstance(three, Polygons)
    (remark,) = found.remarks
    assert "2 segmentations cannot be read" in remark
    assert "annotation 4" in remark


def test_flat_boxes_leave_people_out(tmp_path: Path) -> None:
    rows = row(1), row(2, bbox=[1, 1, 0, 9], segmentation=SQUARE), row(3, bbox=[1, 1, 9, -1], iscrowd=1)
    found = read(tmp_path, *rows)
    assert found.people.labelled.tolist() == [True, False, False]
    assert found.people.num_keypoints[1] == 0
    assert isinstance(found.people.segmentations[1], Polygons)
    assert "1 people have a box without extent" in found.remarks[0]


def test_counts_that_contradict_the_joints(tmp_path: Path) -> None:
    found = read(tmp_path, row(1), row(2, num_keypoints=0), row(3, num_keypoints=9), row(4, num_keypoints=-1))
    assert found.people.num_keypoints.tolist() == [3, 0, 3, 0]
    assert "3 people have another 'num_keypoints'" in found.remarks[0]


def test_remarks_are_logged_once_for_a_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    images = [*image(), {"id": 2, "file_name": "../2.jpg", "height": 40, "width": 60}]
    rows = [row(id_, area=0) for id_ in range(1, 9)] + [row(9, keypoints=[1e9, 1, 2, *PLACES[3:]])]
    with caplog.at_level(logging.WARNING):
        read(tmp_path, *rows, images=images)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 3
    assert all(line.startswith(str(tmp_path / "set.json")) for line in lines)
    assert "1 images lie outside the image folder (the first: ../2.jpg)" in lines[0]
    assert "8 areas" in lines[1]


def test_boxes_are_in_the_keypoints_coordinates(tmp_path: Path) -> None:
    assert read(tmp_path, row(bbox=[0, 0, 60, 40])).people.boxes.tolist() == [[-0.5, -0.5, 59.5, 39.5]]


def test_a_person_who_loses_all_joints_becomes_a_region_without_labels(tmp_path: Path) -> None:
    rows = [
        row(1, keypoints=[9, 9, 2, *NOWHERE[3:]]),
        row(2, keypoints=[*NOWHERE[:3], 20, 20, 1, *NOWHERE[:3]]),
    ]
    only_hand = Skeleton(name="hand", keypoints=JOINTS[1:2], flip_pairs=(), sigmas=(0.1,))
    people = read_people(written(tmp_path, content(*rows)), only_hand).people
    assert people.labelled.tolist() == [False, True]
    assert people.num_keypoints.tolist() == [0, 1]


def test_people_come_in_the_order_of_their_images(tmp_path: Path) -> None:
    found = read(tmp_path, row(7, 2), row(5, 1), row(3, 2), row(4, 1))
    assert found.people.ids.tolist() == [5, 4, 7, 3]
    assert found.people.image.tolist() == [0, 0, 1, 1]


def test_real_annotations_come_back_as_they_were(shared_data: Path) -> None:
    path = shared_data / "coco_mini" / "annotations" / "coco17_train.json"
    found = read_people(path, Skeleton.load("coco17"))
    raw = json.loads(path.read_text())
    written_rows = {entry["id"]: entry for entry in raw["annotations"]}
    assert [image.id for image in found.images] == [image["id"] for image in raw["images"]]
    assert not found.remarks
    people = found.people
    for index, id_ in enumerate(people.ids.tolist()):
        entry = written_rows.pop(id_)
        assert people.keypoints[index].ravel().tolist() == entry["keypoints"]
        assert people.bbox[index].tolist() == entry["bbox"]
        assert people.areas[index] == entry["area"]
        assert people.crowd[index] == entry["iscrowd"]
        assert people.num_keypoints[index] == entry["num_keypoints"]
    assert not written_rows


def test_real_joints_are_mapped_by_name(shared_data: Path) -> None:
    folder = shared_data / "lspet" / "annotations"
    coco, crowdpose = Skeleton.load("coco17"), Skeleton.load("crowdpose14")
    as_coco = read_people(folder / "coco17_val.json", coco).people
    mapped = read_people(folder / "crowdpose14_val.json", coco).people
    np.testing.assert_array_equal(mapped.keypoints, as_coco.keypoints)
    np.testing.assert_array_equal(mapped.num_keypoints, as_coco.num_keypoints)
    back = read_people(folder / "coco17_val.json", crowdpose).people
    assert not back.keypoints[:, crowdpose.index("neck")].any()
    shoulder = back.keypoints[:, crowdpose.index("left_shoulder")]
    np.testing.assert_array_equal(shoulder, as_coco.keypoints[:, coco.index("left_shoulder")])
