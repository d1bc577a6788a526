"""`nas init`: files that train, guesses that say so, and nothing written over."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from own_data import LIMBS, NINE, OwnData

from nas.cli.main import run as nas
from nas.errors import UserError
from nas.runs import load_config
from nas.space import ArchManager, SearchSpace, Skeleton
from nas.workflow.start import write_start

WRITTEN = ("recipe.yaml", "skeleton.yaml", "space.yaml")


def recipe(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((folder / "recipe.yaml").read_text())
    return content


def test_the_files_load_and_say_what_the_data_are(own_data: OwnData, monkeypatch: pytest.MonkeyPatch) -> None:
    file = own_data(count=40)
    before = {path: path.read_bytes() for path in file.parent.rglob("*") if path.is_file()}
    start = write_start(file)
    folder = file.parent
    assert [path.name for path in start.files] == ["space.yaml", "skeleton.yaml", "recipe.yaml"]
    assert {path: path.read_bytes() for path in before} == before

    monkeypatch.chdir("/")
    config = load_config(folder / "recipe.yaml")
    skeleton = Skeleton.load(config.skeleton)
    assert skeleton.keypoints == NINE
    assert skeleton.flip_pairs == tuple(zip(NINE[1::2], NINE[2::2], strict=True))
    assert skeleton.limb_index == tuple((start - 1, end - 1) for start, end in LIMBS)
    space = config.load_space()
    assert space.task == "crop"
    assert ArchManager(space).largest(head="heatmap") != ArchManager(space).smallest()
    training, held_out = config.data.load_train(skeleton), config.data.load_val(skeleton)
    assert len(training[0].images) + len(held_out[0].images) == 40
    assert training[0].image_file(0).is_file()  # type: ignore[union-attr]
    assert config.data.augment.flip == 0.5
    assert config.total_steps(len(training[0].images)) > 100
    assert config.workflow.metric == "PCK_torso@0.2"
    assert start.figures["steps"] > 100
    assert any("40 labelled people are few" in line for line in start.remarks)


def test_the_recipe_says_what_its_fields_are_for_and_which_command_runs_it(own_data: OwnData) -> None:
    file = own_data()
    write_start(file)
    text = (file.parent / "recipe.yaml").read_text()
    assert "nas run recipe.yaml" in text
    assert "$" not in text
    assert "by the hash of their ids" in text
    for part in ("workers", "epochs", "trials"):
        assert any("#" in line for line in text.splitlines() if part in line), part
    for name in WRITTEN:
        assert (file.parent / name).read_text().startswith("#")
        assert max(map(len, (file.parent / name).read_text().splitlines())) <= 125


def test_without_sides_nothing_is_mirrored_and_that_is_said(own_data: OwnData) -> None:
    file = own_data(joints=[f"p{number}" for number in range(9)], limbs=[])
    start = write_start(file)
    assert load_config(file.parent / "recipe.yaml").data.augment.flip == 0
    skeleton = Skeleton.load(file.parent / "skeleton.yaml")
    assert skeleton.flip_pairs == () == skeleton.limbs
    assert set(skeleton.sigmas) == {0.079}
    assert "(default)" in (file.parent / "skeleton.yaml").read_text()
    said = " ".join(start.remarks)
    assert "mirroring is off" in said
    assert "no limbs are known" in said
    assert load_config(file.parent / "recipe.yaml").workflow.metric == "AP"


def test_names_that_yaml_would_read_as_something_else_come_back(own_data: OwnData) -> None:
    odd = ("yes", "null", "3", "a: b", "#x", "'", '"', "left hand", "right hand")
    file = own_data(joints=odd, limbs=[[3, 4]])
    write_start(file)
    skeleton = Skeleton.load(file.parent / "skeleton.yaml")
    assert skeleton.keypoints == odd
    assert skeleton.flip_pairs == (("left hand", "right hand"),)
    assert skeleton.limbs == (("3", "a: b"),)


def test_another_folder_and_a_validation_file(own_data: OwnData, tmp_path: Path) -> None:
    file, val = own_data(), own_data(count=7, folder=tmp_path / "later")
    out = tmp_path / "project"
    write_start(file, output=out, val=val)
    assert not (file.parent / "recipe.yaml").exists()
    content = recipe(out)
    assert "holdout" not in content["data"]
    assert content["data"]["train"]["annotations"] == "../data/people.json"
    config = load_config(out / "recipe.yaml")
    (validation,) = config.data.load_val(Skeleton.load(config.skeleton))
    assert validation.path.samefile(val)
    assert len(validation.images) == 7


def test_data_far_away_are_named_by_their_whole_path(own_data: OwnData, tmp_path: Path) -> None:
    file = own_data()
    out = tmp_path / "a" / "b" / "c"
    write_start(file, output=out)
    assert recipe(out)["data"]["train"]["annotations"] == str(file)


def test_nothing_is_written_over(own_data: OwnData) -> None:
    file = own_data()
    own = file.parent / "skeleton.yaml"
    own.write_text("mine")
    with pytest.raises(UserError, match=r"skeleton\.yaml: there already.*`output`"):
        write_start(file)
    assert own.read_text() == "mine"
    assert not (file.parent / "recipe.yaml").exists()
    assert not (file.parent / "space.yaml").exists()
    own.unlink()
    write_start(file)
    # What a first call, killed on its way, has written is no obstacle.
    (file.parent / "recipe.yaml").unlink()
    write_start(file)
    assert (file.parent / "recipe.yaml").is_file()
    (file.parent / "recipe.yaml").write_text("changed")
    with pytest.raises(UserError, match=r"recipe\.yaml: there already"):
        write_start(file)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that `nas init` ends with."""
    capsys.readouterr()
    assert nas(["init", *map(str, arguments)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.strip().splitlines()
    return line


def test_mistakes_are_one_line(own_data: OwnData, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = own_data()
    assert "does not exist" in refusal(capsys, tmp_path / "none.json")
    broken = tmp_path / "broken.json"
    broken.write_text('{"images": [')
    assert f"{broken}: broken JSON at line 1" in refusal(capsys, broken)
    broken.write_text("[]")
    assert "not a COCO file" in refusal(capsys, broken)
    assert "--images: nowhere is no folder" in refusal(capsys, file, "--images", "nowhere")
    empty = tmp_path / "empty"
    empty.mkdir()
    line = refusal(capsys, file, "--images", empty)
    assert "holds none of the 12 images" in line
    assert "001.png" in line
    assert line.endswith("--images")
    line = refusal(capsys, file, "--val", file, "--val-images", empty)
    assert line.endswith("--val-images")
    hands = own_data(joints=("left_hand", "right_hand"), limbs=[], folder=tmp_path / "hands")
    line = refusal(capsys, file, "--val", hands)
    assert "--val: " in line
    assert "has other joints (left_hand, right_hand)" in line
    line = refusal(capsys, file, "--category", "horse")
    assert "no category is called 'horse'; its categories: jumper" in line
    assert not (file.parent / "recipe.yaml").exists()


def test_images_that_are_not_found_are_asked_for(own_data: OwnData, tmp_path: Path) -> None:
    file = own_data()
    (file.parent / "images").rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"no folder with its images was found, such as 001\.png"):
        write_start(file)
    write_start(file, images=tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "003.png").unlink()
    (file.parent / "recipe.yaml").unlink()
    start = write_start(file, images=tmp_path / "elsewhere")
    assert any("1 of 12 images are missing, such as 003.png" in line for line in start.remarks)


def test_a_file_without_names_of_joints_is_refused(own_data: OwnData) -> None:
    file = own_data(keypoints=[])
    with pytest.raises(UserError, match="no category names its 'keypoints'"):
        write_start(file)


def test_the_command_tells_what_it_found(own_data: OwnData, capsys: pytest.CaptureFixture[str]) -> None:
    file = own_data()
    assert nas(["init", str(file)]) == 0
    told = capsys.readouterr()
    assert "L_Knee / R_Knee" in told.out
    assert "9 joints, 8 limbs (the file's)" in told.out
    assert f"Next: nas run {file.parent / 'recipe.yaml'}" in told.out
    assert "are few to learn from" in told.err
    for name in WRITTEN:
        (file.parent / name).unlink()
    assert nas(["init", str(file), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["people"] == 12
    assert SearchSpace.load(figures["space"]).name == "people"
