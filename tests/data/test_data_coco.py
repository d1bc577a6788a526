"""Loading annotated sets."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dotted_people import JOINTS, person

from nas.data import DataConfig, load_annotations
from nas.errors import UserError
from nas.space.skeleton import Skeleton

BLANK = np.zeros((40, 60, 3), np.uint8)


def joints_at(*places: tuple[float, float, int]) -> np.ndarray:
    keypoints = np.zeros((len(JOINTS), 3))
    keypoints[: len(places)] = places
    return keypoints


GOOD = joints_at((9, 9, 2))


def test_real_annotations_are_written_as_they_were(shared_data: Path) -> None:
    path = shared_data / "coco_mini" / "annotations" / "coco17_train.json"
    annotations = load_annotations(path, None, Skeleton.load("coco17"))
    raw = json.loads(path.read_text())
    written = {row["id"]: row for row in annotations.to_coco()["annotations"]}
    assert len(written) == len(raw["annotations"])
    for row in raw["annotations"]:
        assert {key: row[key] for key in written[row["id"]]} == written[row["id"]]
    assert annotations.people.labelled.sum() == 167
    assert annotations.people.crowd.sum() == 8


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


def test_the_image_folder_has_to_be_there(write_set: Any, skeleton: Skeleton) -> None:
    folder = write_set([BLANK], [person(1, 1, GOOD)])
    with pytest.raises(UserError, match="the image folder does not exist"):
        load_annotations(folder / "set.json", folder / "photos", skeleton)


def test_a_recipe_says_which_category_is_meant(write_set: Any, skeleton: Skeleton) -> None:
    cat, dog = (
        {"id": id_, "name": name, "keypoints": list(JOINTS)} for id_, name in ((4, "cat"), (5, "dog"))
    )
    rows = [person(1, 1, GOOD, category_id=4), person(2, 1, GOOD, category_id=5)]
    folder = write_set([BLANK], rows, categories=[cat, dog])

    def people(**fields: Any) -> tuple[list[int], int]:
        source = {"annotations": "set.json", "images": "images", **fields}
        config = DataConfig.read({"root": str(folder), "train": source}, "recipe")
        (annotations,) = config.load_train(skeleton)
        return annotations.people.ids.tolist(), annotations.category

    assert people(category="dog") == ([2], 5)
    assert people(category="all") == ([1, 2], 4)
    with pytest.raises(UserError, match=r"\(cat, dog\)"):
        people()
