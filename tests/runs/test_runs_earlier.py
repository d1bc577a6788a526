"""Run folders of an earlier version: paths from the current folder, images known by their ids alone."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from made_up_predictor import made_up_predictor

from nas.cli.main import run as nas
from nas.models import read_weights
from nas.runs import RunFolder, load_config
from nas.space import SearchSpace, Skeleton
from nas.train.checkpoint import Checkpoint, CheckpointStore

FIXTURE = Path(__file__).with_name("fixtures") / "earlier_run"
RESULTS = Path(__file__).parents[2] / "results"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that was killed after its second of four steps, its recipe and its data; the current folder."""
    shutil.copytree(FIXTURE, tmp_path / "there")
    (tmp_path / "there" / "data" / "images").mkdir()
    rng = np.random.default_rng(0)
    for number in range(1, 13):
        picture = rng.integers(255, size=(40, 40, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / "there" / "data" / "images" / f"{number}.png"), picture)
    monkeypatch.chdir(tmp_path / "there")
    return tmp_path / "there"


def test_it_is_gone_on_with_searched_and_fine_tuned(folder: Path) -> None:
    run = RunFolder.open("run")
    assert not run.inputs.kept
    split, calibration = (path.read_bytes() for path in (run.search_split_file, run.calibration_file))
    assert nas(["train", "recipe.yaml", "--runs", ".", "--name", "run"]) == 0
    assert run.weights_file.is_file()
    space, skeleton = SearchSpace.load("space.yaml"), Skeleton.load("skeleton.yaml")
    predictor = made_up_predictor(space, skeleton, folder)
    search = ["--budget-ms", "1000", "--trials", "1", "--metric", "AP", "--allow-other-device"]
    assert nas(["search", "run", *search, "--predictor", str(predictor)]) == 0
    assert nas(["finetune", "run", "arch.json", "--name", "a"]) == 0
    assert (run.search_split_file.read_bytes(), run.calibration_file.read_bytes()) == (split, calibration)


def test_it_keeps_its_space_from_then_on(folder: Path) -> None:
    assert nas(["train", "recipe.yaml", "--runs", ".", "--name", "run"]) == 0
    (folder / "space.yaml").unlink()
    (folder / "skeleton.yaml").unlink()
    assert nas(["transfer", "run", "arch.json"]) == 0


def test_its_images_are_still_known_by_their_ids(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "data" / "people.json"
    content = json.loads(path.read_text())
    content["images"].pop(0)
    content["annotations"].pop(0)
    path.write_text(json.dumps(content))
    assert nas(["train", "recipe.yaml", "--runs", ".", "--name", "run"]) == 2
    assert "other training images" in capsys.readouterr().err


def test_a_changed_space_is_noticed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = yaml.safe_load((folder / "space.yaml").read_text())
    (folder / "other.yaml").write_text(yaml.safe_dump({**space, "resolution": 64}))
    train = ["train", "recipe.yaml", "--runs", ".", "--name", "run"]
    assert nas([*train, "--set", "space=other.yaml"]) == 2
    assert "another configuration: space (" in capsys.readouterr().err


def test_fine_tunings_of_an_earlier_version_are_gone_on_with(folder: Path) -> None:
    assert nas(["train", "recipe.yaml", "--runs", ".", "--name", "run"]) == 0
    finetune = ["finetune", "run", "arch.json", "--name", "a"]
    assert nas(finetune) == 0
    before = read_weights("run/subnets/a.safetensors")[1]
    work = RunFolder.open("run").work_folder("a")
    store = CheckpointStore(work / "checkpoints", keep=2)
    last = store.latest()
    assert last is not None
    identity = dict(last.state["identity"])
    del identity["labels of the training images"]
    store.save(Checkpoint(last.step, last.weights, {**last.state, "identity": identity}))
    record = json.loads((work / "finetune.json").read_text())
    del record["files"]
    (work / "finetune.json").write_text(json.dumps(record))
    assert nas(finetune) == 0
    after = read_weights("run/subnets/a.safetensors")[1]
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


@pytest.mark.parametrize("config", sorted(RESULTS.glob("*/config.yaml")), ids=lambda path: path.parent.name)
def test_configurations_of_published_results_are_read(config: Path) -> None:
    known = RunFolder.open(config.parent).config()
    assert known.load_space().name == known.space
    assert load_config(known.name).space == known.space
