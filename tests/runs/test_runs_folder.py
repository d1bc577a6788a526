"""A run's folder stands by itself: from any folder, whatever becomes of what it was started with."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from project import OTHER_DATA, Project, interrupted, move_a_joint, renumber

from nas.cli.main import run as nas
from nas.data.paths import paths_of
from nas.errors import UserError
from nas.models import load_weights
from nas.runs import RunFolder, load_config
from nas.runs.config import SupernetConfig
from nas.runs.data import open_data
from nas.runs.folder import is_free
from nas.space import Arch, ArchManager, SearchSpace, Skeleton

Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_files: Path) -> Project:
    """A project with a trained run, and an architecture in `arch.json`."""
    project = Project(tmp_path_factory.mktemp("project") / "there", tiny_files)
    assert project.train() == 0
    manager = ArchManager(SearchSpace.load(project.recipes / "space.yaml"))
    manager.smallest(head="simcc").save(project.folder / "arch.json")
    return project


@pytest.fixture
def project(trained: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The same, in a folder of its own; the current folder is another one."""
    shutil.copytree(trained.folder, tmp_path / "here")
    copied = Project.__new__(Project)
    copied.folder, copied.recipes = tmp_path / "here", tmp_path / "here" / "recipes"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    path = copied.run / "config.yaml"
    path.write_text(path.read_text().replace(str(trained.folder), str(copied.folder)))
    return copied


def transfer(project: Project, *options: str) -> list[str]:
    return ["transfer", str(project.run), str(project.folder / "arch.json"), *options]


def finetune(project: Project, *options: str) -> list[str]:
    return ["finetune", str(project.run), str(project.folder / "arch.json"), "--name", "a", *options]


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a command ends with."""
    capsys.readouterr()
    assert nas(arguments) == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_the_schema_knows_every_path() -> None:
    source = {"annotations": "a", "images": "b"}
    init = {"weights": "c"}
    values = {
        "space": "x", "skeleton": "x", "init": init, "data": {"root": "x", "train": source},
        "sampling": {"predictor": "x"}, "finetune": {"teacher": "x", "init": {"backbone": "x"}},
    }  # fmt: skip
    assert {".".join(map(str, place)) for place, _, _ in paths_of(SupernetConfig, values)} == {
        "space", "skeleton", "init.weights", "data.root", "sampling.predictor", "finetune.teacher",
        "finetune.init.backbone",
    }  # fmt: skip


def test_paths_start_from_the_recipe_and_those_of_overrides_from_the_current_folder(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.change(
        "recipe",
        init={"weights": "w.safetensors"},
        sampling={"predictor": "../p.json"},
        finetune={"epochs": 1, "teacher": "/t.safetensors", "init": {"backbone": "~/b.safetensors"}},
    )
    monkeypatch.setenv("HOME", "/home/me")
    config = load_config(project.recipe)
    assert config.space == str(project.recipes / "space.yaml")
    assert config.skeleton == str(project.recipes / "skeleton.yaml")
    assert Path(config.data.root).resolve() == project.data.resolve()
    assert config.init is not None
    assert config.init.weights == str(project.recipes / "w.safetensors")
    assert config.sampling.predictor == str(project.recipes / "../p.json")
    assert config.finetune.teacher == "/t.safetensors"
    assert config.finetune.init is not None
    assert config.finetune.init.backbone == "/home/me/b.safetensors"
    overrides = ["data.root=x", "init={backbone: y.safetensors}", "skeleton=coco17"]
    changed = load_config(project.recipe, overrides)
    assert changed.data.root == str(Path.cwd() / "x")
    assert changed.init is not None
    assert changed.init.backbone == str(Path.cwd() / "y.safetensors")
    assert changed.skeleton == "coco17"


def test_a_recipe_without_a_root_has_its_sets_beside_it(project: Project) -> None:
    project.change("recipe", data={"train": {"annotations": "people.json", "images": "images"}})
    assert load_config(project.recipe).data.root == str(project.recipes)


def test_paths_of_shipped_recipes_start_from_the_current_folder(project: Project) -> None:
    config = load_config("person-crop-lsp")
    assert (config.data.root, config.space) == (str(Path.cwd() / "data"), "person-crop")


def test_a_file_beside_the_recipe_comes_before_a_shipped_name(project: Project) -> None:
    shutil.copy(project.recipes / "space.yaml", project.recipes / "demo")
    project.change("recipe", space="demo", skeleton="coco17")
    config = load_config(project.recipe)
    assert config.load_space().name == "tiny"
    assert config.skeleton == "coco17"


def test_every_command_works_after_the_originals_changed_moved_and_vanished(project: Project) -> None:
    kept = Skeleton.load(project.recipes / "skeleton.yaml")
    project.change("space", name="another", stem={"width": 16, "activation": "relu"})
    assert nas(transfer(project)) == 0
    project.change("skeleton", sigmas=[0.5] * 17)
    moved = project.folder.with_name("data elsewhere")
    project.data.rename(moved)
    root = ["--set", f"data.root={moved}"]
    assert nas(transfer(project, *root, "--name", "b")) == 0
    shutil.rmtree(project.recipes)
    assert nas(finetune(project, *root, "--set", "steps=1")) == 0
    project.run.rename(project.folder / "runs" / "renamed")
    run = project.folder / "runs" / "renamed"
    for name in ("b-inherited", "a"):
        weights = run / "subnets" / f"{name}.safetensors"
        assert load_weights(weights).skeleton == kept
        assert nas(["export", str(weights), "--out", str(run / "x.onnx")]) == 0
    assert nas(["report", str(run)]) == 0
    assert "mine" in (run / "report" / "index.html").read_text()
    assert nas(["data", "preview", str(run), *root, "--out", str(run / "x.png"), "--count", "1"]) == 0


@pytest.mark.slow
def test_networks_of_a_run_are_timed_after_its_originals_vanished(project: Project) -> None:
    shutil.rmtree(project.recipes)
    options = ["--samples", "1", "--visits", "1"]
    assert nas(["latency", "measure", "--space", str(project.run), *options]) == 0
    assert (project.run / "latency" / "table.jsonl").is_file()


def test_a_moved_recipe_goes_on(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    interrupted(project.run)
    moved = project.folder / "moved"
    project.recipes.rename(moved)
    project.recipes = moved
    assert project.train() == 0
    assert yaml.safe_load((project.run / "config.yaml").read_text())["space"] == str(moved / "space.yaml")


def test_a_training_goes_on_with_what_it_keeps_where_the_originals_vanished(project: Project) -> None:
    interrupted(project.run)
    (project.recipes / "space.yaml").unlink()
    (project.recipes / "skeleton.yaml").unlink()
    assert project.train() == 0
    assert (project.run / "weights.safetensors").is_file()


@pytest.mark.parametrize("finished", [False, True])
def test_changed_originals_are_another_configuration(
    project: Project, capsys: pytest.CaptureFixture[str], finished: bool
) -> None:
    if not finished:
        interrupted(project.run)
    before = (project.run / "config.yaml").read_text()
    train = ["train", str(project.recipe), "--runs", str(project.run.parent)]
    stages = yaml.safe_load((project.recipes / "space.yaml").read_text())["stages"]
    project.change("space", stages=[{**stages[0], "width": 8}, *stages[1:]])
    said = refusal(train, capsys)
    assert "another configuration: space.stages.0.width ([8, 16] there, [8] now)" in said
    project.change("space", stages=stages)
    project.change("skeleton", sigmas=[0.5] * 17)
    assert "another configuration: skeleton.sigmas (" in refusal(train, capsys)
    assert (project.run / "config.yaml").read_text() == before
    project.change("skeleton", sigmas=list(Skeleton.load("coco17").sigmas))
    assert nas(train) == 0


def test_published_networks_are_kept_with_the_space(project: Project) -> None:
    run = project.run
    shutil.rmtree(run)
    shutil.copy(project.folder / "arch.json", project.recipes / "mine.json")
    project.change("space", published=["mine.json"])
    RunFolder.start(run, load_config(project.recipe))
    arch = Arch.load(project.folder / "arch.json")
    RunFolder.start(run, load_config(project.recipe))
    ArchManager(SearchSpace.load(project.recipes / "space.yaml")).largest(head="simcc").save(
        project.recipes / "mine.json"
    )
    with pytest.raises(UserError, match=r"space\.published"):
        RunFolder.start(run, load_config(project.recipe))
    shutil.rmtree(project.recipes)
    assert list(RunFolder.open(run).config().load_space().published().values()) == [arch]


def test_another_form_of_a_shipped_space_does_not_change_a_run(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = RunFolder.start(tmp_path / "run", load_config("demo"))
    known = run.config().load_space()
    content = yaml.safe_load(
        (Path(load_config.__code__.co_filename).parents[2] / "search_spaces/demo.yaml").read_text()
    )
    (tmp_path / "search_spaces").mkdir()
    (tmp_path / "search_spaces" / "demo.yaml").write_text(
        yaml.safe_dump({**content, "resolution": [[64, 64]]})
    )
    config = load_config("demo")
    monkeypatch.setattr("nas.shipped._root", lambda: tmp_path)
    assert config.load_space() != known
    assert RunFolder.start(tmp_path / "run", config).config().load_space() == known


@pytest.mark.slow
def test_weights_to_start_from_may_vanish_and_move_once_training_has_begun(project: Project) -> None:
    weights = project.folder / "w.safetensors"
    shutil.copy(project.run / "weights.safetensors", weights)
    shutil.rmtree(project.run)
    project.change("recipe", init={"weights": "../w.safetensors"})
    assert project.train() == 0
    interrupted(project.run)
    moved = weights.rename(project.folder / "moved.safetensors")
    assert project.train("--set", f"init.weights={moved}") == 0
    interrupted(project.run)
    moved.unlink()
    assert project.train("--set", f"init.weights={moved}") == 0


def test_other_weights_to_start_from_are_another_configuration(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = project.run / "weights.safetensors"
    other = project.folder / "other.safetensors"
    other.write_bytes(weights.read_bytes() + b" ")
    shutil.copy(weights, project.folder / "w.safetensors")
    shutil.rmtree(project.run)
    project.change("recipe", init={"weights": "../w.safetensors"})
    assert project.train() == 0
    train = ["train", str(project.recipe), "--runs", str(project.run.parent)]
    assert "init.weights (" in refusal([*train, "--set", f"init.weights={other}"], capsys)


def test_a_teacher_may_move(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert nas(finetune(project)) == 0
    teacher = project.run / "subnets" / "a.safetensors"
    student = ["finetune", str(project.run), str(project.folder / "arch.json"), "--name", "student"]
    assert nas([*student, "--teacher", str(teacher)]) == 0
    moved = teacher.rename(project.folder / "t.safetensors")
    assert nas([*student, "--teacher", str(moved)]) == 0
    other = project.run / "subnets" / "student.safetensors"
    assert "another recipe" in refusal([*student, "--teacher", str(other)], capsys)
    shutil.copy(other, teacher)
    assert "other weights of the teacher" in refusal([*student, "--teacher", str(teacher)], capsys)


@pytest.mark.parametrize("field", ["batch=3", "optimizer.lr=1", "space=demo", "data.train=[]", "seed=1"])
def test_only_what_does_not_change_a_run_can_be_set(
    project: Project, field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refusal(transfer(project, "--set", field), capsys)
    assert f"{field}: " in said
    assert "data.root" in said


def test_fields_of_a_run_and_of_fine_tuning_are_told_apart(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert is_free("data.root=x")
    assert not is_free("steps=3")
    assert not is_free("data.rootless=3")
    said = refusal(finetune(project, "--set", "data.root=nowhere", "--set", "steps=1"), capsys)
    assert f"data.root: {Path.cwd() / 'nowhere'} is not a folder" in said
    assert "unknown field 'sample'" in refusal(finetune(project, "--set", "sample=1"), capsys)


@pytest.mark.parametrize("change", OTHER_DATA)
def test_other_data_are_noticed_by_every_command(
    project: Project, change: Change, capsys: pytest.CaptureFixture[str]
) -> None:
    project.relabel(change)
    for command in (transfer(project), finetune(project)):
        assert "other training images" in refusal(command, capsys)
    interrupted(project.run)
    known = (project.run / "config.yaml").read_text()
    train = ["train", str(project.recipe), "--runs", str(project.run.parent)]
    assert "other training images" in refusal([*train, "--set", "data.bad_share=0.5"], capsys)
    assert (project.run / "config.yaml").read_text() == known


def test_an_image_of_another_name_is_named(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    kept = json.loads((project.run / "search_split.json").read_text())["sources"][0]["image_ids"][0]
    project.relabel(renumber)
    said = refusal(transfer(project), capsys)
    assert f"image {kept} was {kept}.png, is {41 - kept}.png now" in said


def test_what_is_no_content_may_change(project: Project) -> None:
    def annotate(content: dict[str, Any]) -> None:
        content["info"] = {"version": 2}
        content["images"][0]["licence"] = 3
        content["annotations"][0]["keypoints"] = [float(v) for v in content["annotations"][0]["keypoints"]]

    project.relabel(annotate)
    (project.data / "images" / "1.png").write_bytes((project.data / "images" / "2.png").read_bytes())
    moved = project.data.rename(project.folder / "moved")
    root = ["--set", f"data.root={moved}"]
    assert nas(transfer(project, *root)) == 0
    assert nas(finetune(project, *root)) == 0
    interrupted(project.run)
    assert project.train(*root) == 0


def test_labels_are_part_of_what_checkpoints_are_of(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """Even where the split does not say what the sets held, as those of earlier versions do not."""
    assert nas(finetune(project)) == 0
    interrupted(project.run)
    split = project.run / "search_split.json"
    content = json.loads(split.read_text())
    del content["sources"][0]["content"]
    split.write_text(json.dumps(content))
    project.relabel(move_a_joint)
    train = ["train", str(project.recipe), "--runs", str(project.run.parent)]
    assert "other labels of the training images" in refusal(train, capsys)


def test_calibration_names_its_samples(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert nas(transfer(project)) == 0
    path = project.run / "calibration.json"
    samples = json.loads(path.read_text())["samples"]
    assert all(name == f"{image}.png" for _, image, _, name in samples)
    samples[0][3] = "other.png"
    path.write_text(json.dumps({"samples": samples}))
    said = refusal(transfer(project), capsys)
    assert f"image {samples[0][1]} was other.png, is {samples[0][1]}.png now" in said
    path.write_text(json.dumps({"samples": [sample[:3] for sample in samples]}))
    assert nas(transfer(project)) == 0


def test_the_split_says_what_the_sets_held(project: Project) -> None:
    run = RunFolder.open(project.run)
    config = run.config()
    data = open_data(config, config.load_space(), run)
    assert data.split.change(data.sources) is None
    with pytest.raises(UserError, match="no search split"):
        type(data.split).from_json({"sources": [{"annotations": "a", "image_ids": [1], "content": {}}]})
