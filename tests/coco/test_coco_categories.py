"""Which category is meant, and what its joints are called."""

from pathlib import Path
from typing import Any

import pytest
from coco_files import JOINTS, THREE, content, row, written

from nas.coco import choose_category, other_joints, read_people
from nas.errors import UserError
from nas.space.skeleton import Skeleton

FILE = Path("set.json")


def category(id_: Any, name: str, *joints: str) -> dict[str, Any]:
    return {"id": id_, "name": name, "keypoints": list(joints)}


CAT, DOG = category(1, "cat", *JOINTS), category(2, "dog", *JOINTS)
PERSON, HAND = category(3, "person", *JOINTS), category(4, "hand", "wrist", "thumb")


@pytest.mark.parametrize(
    ("categories", "wanted", "ids"),
    [
        ([CAT], None, {1}),
        ([CAT, {"id": 9, "name": "car"}], None, {1}),
        ([CAT, DOG, PERSON], None, {3}),
        ([PERSON, HAND], None, {3}),
        ([CAT, DOG], "dog", {2}),
        ([CAT, DOG], "Dog", {2}),
        ([CAT, DOG], "all", {1, 2}),
        ([CAT, category(5, "all", *JOINTS)], "all", {5}),
        ([category("1", "cat", *JOINTS), category(2.0, "dog", *JOINTS)], "all", {1, 2}),
        ([PERSON, category(7, "person", *JOINTS)], "person", {3, 7}),
        ([PERSON, HAND, CAT], "hand", {4}),
    ],
)
def test_one_is_meant(categories: list[dict[str, Any]], wanted: str | None, ids: set[int]) -> None:
    chosen = choose_category(categories, FILE, category=wanted)
    assert chosen.ids == ids
    assert chosen.joints == (("wrist", "thumb") if ids == {4} else JOINTS)
    assert chosen.named
    assert chosen.id == min(ids)


@pytest.mark.parametrize(
    ("categories", "wanted", "said"),
    [
        ([CAT, DOG], None, "several categories have keypoints (cat, dog); choose by category: "),
        ([PERSON, PERSON], None, "(person, person)"),
        ([CAT, DOG], "horse", "no category is called 'horse'; its categories: cat, dog"),
        ([CAT, HAND], "all", "the categories cat, hand have different joints"),
        ([], None, "no category names its 'keypoints'"),
        ([{"id": 1, "name": "person"}], None, "no category names its 'keypoints'"),
        ([{"id": 1, "name": "person"}], "person", "no category names its 'keypoints'"),
        ([category(None, "cat", *JOINTS)], None, "category 'cat': 'id' must be an integer"),
        ([category(1, "cat", "nose", "nose")], None, "names a keypoint twice"),
        ([{"id": 1, "keypoints": "nose"}], None, "must be a list of names"),
        ([{"id": 1, "keypoints": [1]}], None, "must be a list of names"),
        ([3], None, "categories[0] is not an object"),
    ],
)
def test_nothing_or_too_much_is_meant(categories: list[Any], wanted: str | None, said: str) -> None:
    with pytest.raises(UserError) as caught:
        choose_category(categories, FILE, category=wanted)
    assert said in str(caught.value)
    assert str(caught.value).startswith("set.json: ")


def test_people_of_all_categories_are_read_together(tmp_path: Path) -> None:
    path = written(
        tmp_path, content(row(1), row(2, category_id="2"), row(3, category_id=9), categories=[CAT, DOG])
    )
    assert read_people(path, THREE, category="all").people.ids.tolist() == [1, 2]
    assert read_people(path, THREE, category="dog").people.ids.tolist() == [2]
    with pytest.raises(UserError, match="cat, dog"):
        read_people(path, THREE)


def test_annotations_of_none_of_the_categories_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, content(row(category_id=4)))
    with pytest.raises(UserError, match="none of its 1 annotations belongs to the category person"):
        read_people(path, THREE)


@pytest.mark.parametrize("categories", [[], [{"id": 1, "name": "person"}], [{"id": 1, "keypoints": []}]])
def test_joints_without_names_are_the_skeletons(tmp_path: Path, categories: list[Any]) -> None:
    path = written(tmp_path, content(row(), row(2, keypoints=...), categories=categories))
    read = read_people(path, THREE)
    assert read.people.keypoints[0, 1].tolist() == [20, 12.5, 2]
    assert "taken for the skeleton's" in read.remarks[0]
    other = Skeleton(name="four", keypoints=(*JOINTS, "tail"), flip_pairs=(), sigmas=())
    with pytest.raises(UserError, match=r"9 numbers where 12 are needed.*no category names its 'keypoints'"):
        read_people(path, other)
    with pytest.raises(UserError, match="say of which skeleton they are"):
        read_people(path, None)


def test_a_file_of_boxes_alone_holds_no_keypoints(tmp_path: Path) -> None:
    path = written(
        tmp_path, content(row(keypoints=..., num_keypoints=...), categories=[{"id": 1, "name": "person"}])
    )
    with pytest.raises(
        UserError, match=r"nobody in it has a labelled keypoint .*no category names its 'keypoints'"
    ):
        read_people(path, THREE)


def test_joints_that_are_called_otherwise_are_no_others() -> None:
    crowdpose = Skeleton.load("crowdpose14")
    names = {"top_head": "head_top", "neck": "upper_neck"}
    assert other_joints([names.get(name, name) for name in crowdpose.keypoints], crowdpose) == ((), ())
    assert other_joints([*crowdpose.keypoints[1:], "tail"], crowdpose) == (crowdpose.keypoints[:1], ("tail",))
