"""The boxes of people in a file."""

import logging
from pathlib import Path
from typing import Any

import pytest
from coco_files import content, row, written

from nas.coco import people_boxes
from nas.errors import UserError

IMAGES = [
    {"id": 1, "file_name": "cam1/0001.jpg"},
    {"id": "2", "file_name": "./cam2\\0001.jpg"},
    {"id": 3, "file_name": "cam3/0001.jpg", "width": "wide"},
]
KINDS = [{"id": 1, "name": "person"}, {"id": 7, "name": "dog"}]


def boxes_of(folder: Path, *rows: dict[str, Any], **options: Any) -> dict[str, list[list[float]]]:
    document = {"images": IMAGES, "annotations": list(rows), "categories": KINDS}
    document = {**document, **options.pop("changes", {})}
    found = people_boxes(written(folder, document), **options)
    return {name: boxes.tolist() for name, boxes in found.items()}


def bare(id_: int, image: Any = 1, **changes: Any) -> dict[str, Any]:
    return {"id": id_, "image_id": image, "category_id": 1, "bbox": [10, 20, 30, 40]} | changes


BOX = [9.5, 19.5, 39.5, 59.5]


def test_names_are_whole_paths(tmp_path: Path) -> None:
    found = boxes_of(tmp_path, bare(1), bare(2, 2.0, bbox=[0, 0, 8, 8.5]))
    assert found == {"cam1/0001.jpg": [BOX], "cam2/0001.jpg": [[-0.5, -0.5, 7.5, 8]], "cam3/0001.jpg": []}


def test_crowds_and_other_categories_are_left_out(tmp_path: Path) -> None:
    rows = (
        bare(1),
        bare(2, iscrowd=1),
        bare(3, category_id=7),
        bare(4, iscrowd="1"),
        bare(5, category_id=None),
    )
    assert boxes_of(tmp_path, *rows)["cam1/0001.jpg"] == [BOX]
    assert boxes_of(tmp_path, *rows, category="dog")["cam1/0001.jpg"] == [BOX]
    assert boxes_of(tmp_path, *rows, category="all")["cam1/0001.jpg"] == [BOX] * 2
    with pytest.raises(UserError, match="no category is called 'cat'; its categories: person, dog"):
        boxes_of(tmp_path, *rows, category="cat")


def test_without_categories_all_are_people(tmp_path: Path) -> None:
    found = boxes_of(tmp_path, bare(1, category_id=5), changes={"categories": []})
    assert found["cam1/0001.jpg"] == [BOX]


def test_boxes_without_extent_are_left_out_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = boxes_of(tmp_path, bare(1), bare(2, bbox=[0, 0, 0, 0]), bare(3, bbox=[9, 9, 5, -1]))
    assert found["cam1/0001.jpg"] == [BOX]
    (record,) = caplog.records
    assert "2 boxes without extent are left out (the first: annotation 2)" in record.getMessage()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bbox": None}, "annotation 2: 'bbox' is missing"),
        ({"bbox": [1, 2, 3]}, "annotation 2: 'bbox' has 3 numbers"),
        ({"bbox": [1, 2, 3, "4"]}, "annotation 2: 'bbox' holds something"),
        ({"bbox": [1, 2, 3, float("inf")]}, "annotation 2: 'bbox' is at an impossible place"),
        ({"bbox": [1, 2, 3, 1e30]}, "annotation 2: 'bbox' is at an impossible place"),
        ({"image_id": 9}, "annotation 2: image 9 is not listed"),
        ({"iscrowd": 2}, "annotation 2: 'iscrowd' must be 0 or 1, got 2"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        boxes_of(tmp_path, bare(1), bare(2, **change))
    assert said in str(caught.value)


def test_a_keypoint_file_has_the_boxes_that_it_is_trained_on(tmp_path: Path) -> None:
    from nas.coco import read_people

    path = written(tmp_path, content(row(1), row(2, 2, bbox=[1, 2, 3, 4]), row(3, iscrowd=1)))
    people = read_people(path, None).people
    found = people_boxes(path)
    assert [*found["1.jpg"].tolist(), *found["2.jpg"].tolist()] == people.boxes[~people.crowd].tolist()
