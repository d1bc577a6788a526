"""What makes an annotated set another one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dotted_people import JOINTS, person

from nas.data import Annotations, SearchSplit, draw_search_split, load_annotations
from nas.data.identity import SourceContent
from nas.errors import UserError
from nas.space.skeleton import Skeleton

WriteSet = Callable[..., Path]
Change = Callable[[dict[str, Any]], None]

TRIANGLE = [1.0, 1.0, 30.0, 1.0, 1.0, 30.0]
RUNS = {"size": [60, 80], "counts": [100, 200, 4500]}


@pytest.fixture
def folder(write_set: WriteSet) -> Path:
    """Three images with one person each, and crowds: one with an outline, one with runs."""
    keypoints = np.column_stack(
        [np.linspace(10, 40, len(JOINTS)), np.linspace(12, 30, len(JOINTS)), np.full(7, 2)]
    )
    people = [person(id_, id_, keypoints) for id_ in (1, 2, 3)]
    nobody = np.zeros((len(JOINTS), 3))
    people += [
        person(4, 1, nobody, iscrowd=1, segmentation=[TRIANGLE]),
        person(5, 2, nobody, iscrowd=1, segmentation=RUNS),
    ]
    return write_set([np.zeros((60, 80, 3), np.uint8)] * 3, people)


def load(folder: Path, skeleton: Skeleton) -> Annotations:
    return load_annotations(folder / "set.json", folder / "images", skeleton)


def changed(folder: Path, change: Change) -> None:
    path = folder / "set.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def set_field(place: tuple[Any, ...], value: Any) -> Change:
    def change(content: dict[str, Any]) -> None:
        for key in place[:-1]:
            content = content[key]
        content[place[-1]] = value

    return change


def swap_images(content: dict[str, Any]) -> None:
    content["images"].reverse()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (set_field(("images", 0, "file_name"), "new.png"), "image 1 was 1.png, is new.png now"),
        (set_field(("images", 2, "file_name"), "new.png"), "images have other"),
        (set_field(("images", 2, "width"), 81), "images have other"),
        (swap_images, "images have other"),
        (set_field(("annotations", 2, "keypoints", 0), 11.5), "labels"),
        (set_field(("annotations", 2, "keypoints", 2), 1), "labels"),
        (set_field(("annotations", 2, "bbox", 3), 17.0), "labels"),
        (set_field(("annotations", 2, "area"), 100.0), "labels"),
        (set_field(("annotations", 2, "iscrowd"), 1), "labels"),
        (set_field(("annotations", 2, "image_id"), 2), "labels"),
        (set_field(("annotations", 2, "id"), 30), "labels"),
        (set_field(("annotations", 3, "segmentation", 0, 0), 2.0), "labels"),
        (set_field(("annotations", 4, "segmentation", "counts"), [101, 199, 4500]), "labels"),
        (set_field(("categories", 0, "keypoints"), [JOINTS[1], JOINTS[0], *JOINTS[2:]]), "labels"),
    ],
)
def test_another_content_is_another_set(folder: Path, skeleton: Skeleton, change: Change, said: str) -> None:
    content = SourceContent.of(load(folder, skeleton), [1])
    changed(folder, change)
    found = content.change(load(folder, skeleton))
    assert found is not None
    assert said in found


def test_place_pixels_and_spelling_are_no_content(folder: Path, skeleton: Skeleton) -> None:
    content = SourceContent.of(load(folder, skeleton), [1, 2])
    changed(folder, set_field(("info",), {"version": 2}))
    changed(folder, set_field(("images", 1, "file_name"), "./2.png"))
    changed(folder, set_field(("images", 1, "license"), 3))
    (folder / "images" / "1.png").unlink()
    moved = folder.rename(folder.with_name("moved"))
    assert content.change(load(moved, skeleton)) is None


def test_a_split_is_of_its_sets_until_they_change(folder: Path, skeleton: Skeleton) -> None:
    source = load(folder, skeleton)
    split = draw_search_split([source])
    written = json.loads(json.dumps(split.to_json()))
    assert SearchSplit.from_json(written).change([source]) is None
    (kept,) = split.ids[0]
    changed(folder, set_field(("images", kept - 1, "id"), 99))

    def follow(content: dict[str, Any]) -> None:
        for row in content["annotations"]:
            row["image_id"] = 99 if row["image_id"] == kept else row["image_id"]

    changed(folder, follow)
    other = load(folder, skeleton)
    assert f"image {kept} was {kept}.png, and is gone" in str(SearchSplit.from_json(written).change([other]))
    del written["sources"][0]["content"]
    assert SearchSplit.from_json(written).change([other]) is None
    for damaged in ({}, {"files": [], "images": "", "labels": ""}, {"files": {"a": "b"}}, 3):
        written["sources"][0]["content"] = damaged
        with pytest.raises(UserError, match="no search split"):
            SearchSplit.from_json(written)
