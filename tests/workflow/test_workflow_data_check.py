"""What would end the way after hours ends it before the first: pictures that are missing or broken."""

import json
import os
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from nas.data import draw_search_split
from nas.errors import UserError
from nas.workflow.data_check import data_check_step, require_possible
from nas.workflow.steps import follow
from nas.workflow.way import Way
from nas.workflow.workflow import run_workflow


def check(way: Way) -> str:
    """What the step says."""
    assert isinstance(way.console.file, StringIO)
    way.console.file.truncate(0)
    follow([data_check_step(way)], way.records, console=way.console, deadline=way.deadline)
    return way.console.file.getvalue()


def pictures(way: Way, which: str) -> list[Path]:
    """Those that something needs: `validation`, `search`, or `training` alone."""
    data = way.config.data
    training, (validation,) = data.load_train(way.skeleton), data.load_val(way.skeleton)
    (kept,) = draw_search_split(training).search(training)
    sets = {"validation": validation, "search": kept, "training": training[0]}
    names = {part: {image.file for image in of.images} for part, of in sets.items()}
    names["training"] -= names["search"]
    return [way.config.data.folder / "images" / name for name in sorted(names[which])]


def test_sound_data_are_looked_at_once(make_way: Any) -> None:
    way = make_way()
    said = check(way)
    assert "Done before" not in said
    assert "No problems" in said
    assert "<html" in (way.run.workflow_folder / "data.html").read_text()
    assert "Done before" in check(make_way())
    assert "No problems" in check(make_way())


def test_pictures_and_labels_that_changed_are_looked_at_again(make_way: Any) -> None:
    way = make_way()
    check(way)
    os.utime(pictures(way, "training")[0], (1, 1))
    assert "Done before" not in check(way)
    assert "Done before" in check(way)
    file = way.config.data.folder / "people.json"
    content = json.loads(file.read_text())
    content["annotations"][0]["keypoints"][0] = 47.0
    content["annotations"][0]["keypoints"][1] = 900.0
    file.write_text(json.dumps(content))
    said = check(way)
    assert "- Labelled joints outside their image: 1." in said
    assert "Done before" in check(way)
    assert "- Labelled joints outside their image: 1." in check(way)


@pytest.mark.parametrize("use", ["validation", "search"])
def test_a_picture_that_is_needed_and_missing_ends_the_way(make_way: Any, use: str) -> None:
    way = make_way("data.bad_share=1")
    picture = pictures(way, use)[0]
    content = picture.read_bytes()
    picture.write_bytes(content[:40])
    with pytest.raises(UserError, match=f"needed for {use}") as refused:
        check(way)
    assert str(picture) in str(refused.value)
    assert str(way.run.workflow_folder / "data.html") in str(refused.value)
    picture.write_bytes(content)
    assert "No problems" in check(way)


def test_training_bears_some_missing_pictures(make_way: Any) -> None:
    way = make_way("data.bad_share=0.1")
    first, *rest = pictures(way, "training")
    first.unlink()
    assert "- Missing images: 1." in check(way)
    for picture in rest[:5]:
        picture.unlink()
    with pytest.raises(UserError, match=r"of the training pictures are missing or broken, more than"):
        check(way)


def test_what_cannot_be_scored_is_refused_before_anything(make_way: Any) -> None:
    require_possible(make_way())
    with pytest.raises(UserError, match="no set to validate on is named"):
        require_possible(make_way("data.holdout=0"))
    with pytest.raises(UserError, match="metric 'speed' is not known"):
        require_possible(make_way("workflow.metric=speed"))
    named = '{"annotations": "people.json", "images": "images"}'
    require_possible(make_way("data.holdout=0", f"workflow.test={named}"))


def test_several_processes_are_refused(make_way: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    way = make_way()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="start it without torchrun or srun"):
        run_workflow(way.config, way.run.path, console=way.console)
    assert not way.run.path.exists()


def test_sets_of_other_joints_are_told_and_taken(make_way: Any) -> None:
    way = make_way()
    skeleton = way.config.data.folder / "skeleton.yaml"
    text = skeleton.read_text().replace("Neck", "Throat")
    skeleton.write_text(text)
    assert "- Other joints than the skeleton's: 1." in check(make_way())
