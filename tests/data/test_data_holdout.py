"""Images that are kept out of training and search: another choice than the search split, and a steady one."""

import json
from pathlib import Path
from typing import Any

import pytest
from own_data import OwnData, own_data

from nas.data import Annotations, DataConfig, draw_search_split, load_annotations
from nas.data.holdout import holdout_ids
from nas.errors import UserError

__all__ = ["own_data"]


def config(file: Path, **fields: Any) -> DataConfig:
    source = {"annotations": file.name, "images": "images"}
    return DataConfig.read({"root": str(file.parent), "train": source, **fields}, "recipe")


def load(file: Path) -> Annotations:
    return load_annotations(file, file.parent / "images", None)


def test_training_search_and_validation_share_no_image(own_data: OwnData) -> None:
    file = own_data(count=60)
    skeleton = load(file).skeleton
    data = config(file, holdout=0.3)
    training, held_out = data.load_train(skeleton), data.load_val(skeleton)
    ids = [{image.id for image in part.images} for part in (*training, *held_out)]
    assert not ids[0] & ids[1]
    assert ids[0] | ids[1] == set(range(1, 61))
    assert 8 <= len(ids[1]) <= 28
    kept = draw_search_split(training).search(training)
    assert {image.id for image in kept[0].images} < ids[0]
    # The least hashes of ids are the search split's; what is held out is no such extreme of the same order.
    (split,) = draw_search_split([load(file)], fraction=0.3).ids
    assert set(split) != ids[1]


def test_the_choice_stays_when_images_come_and_go(own_data: OwnData, tmp_path: Path) -> None:
    file = own_data(count=50)
    before = holdout_ids(load(file), 0.2)
    content = json.loads(file.read_text())
    content["images"] = content["images"][10:]
    content["annotations"] = content["annotations"][10:]
    file.write_text(json.dumps(content))
    assert holdout_ids(load(file), 0.2) == {id_ for id_ in before if id_ > 10}


def test_something_is_left_for_everyone(own_data: OwnData, tmp_path: Path) -> None:
    three = load(own_data(count=3))
    assert len(holdout_ids(three, 0.01)) == len(holdout_ids(three, 0.5)) == 1
    two = load(own_data(count=2, folder=tmp_path / "two"))
    with pytest.raises(UserError, match="2 images with labelled people cannot be split"):
        holdout_ids(two, 0.2)


def test_a_recipe_names_a_set_or_holds_one_out(own_data: OwnData) -> None:
    file = own_data()
    source = {"annotations": file.name, "images": "images"}
    with pytest.raises(UserError, match=r"data\.holdout: data\.val names"):
        config(file, holdout=0.1, val=source)
    assert config(file, val=source).validates
    assert config(file, holdout=0.1).validates
    nothing = config(file)
    assert not nothing.validates
    with pytest.raises(UserError, match=r"data\.val: no set.*data\.holdout=0\.1"):
        nothing.load_val(load(file).skeleton)
