"""A search scores on what was kept out of training, in a folder of its own: other data, other processes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lock_holder import Holder
from made_up_predictor import made_up_predictor
from untrained_run import untrained_run

from nas.cli.main import run as nas
from nas.errors import UserError
from nas.runs import RunFolder
from nas.search.run import SearchSettings, search_run
from nas.space import SearchSpace, Skeleton


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory, space: SearchSpace) -> Path:
    """A folder with people, a run that looks trained, and a predictor."""
    folder = tmp_path_factory.mktemp("given")
    untrained_run(folder, space)
    made_up_predictor(space, Skeleton.load("coco17"), folder).rename(folder / "predictor.json")
    assert nas(search(folder)) == 0
    return folder


@pytest.fixture
def folder(given: Path, tmp_path: Path) -> Path:
    """The same, in a folder of its own; the recorded place of the data is the former one."""
    return Path(shutil.copytree(given, tmp_path / "given"))


def search(folder: Path, *options: str) -> list[str]:
    return [
        "search", str(folder / "run"), "--budget-ms", "1000", "--trials", "1", "--finalists", "1", "--metric",
        "PCK_torso@0.5", "--predictor", str(folder / "predictor.json"), "--allow-other-device", *options,
    ]  # fmt: skip


def relabel(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    (path,) = (folder / "people" / "train" / "annotations").glob("*.json")
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def renumber(content: dict[str, Any]) -> None:
    count = max(image["id"] for image in content["images"])
    for image in content["images"]:
        image["id"] = count + 1 - image["id"]
    for person in content["annotations"]:
        person["image_id"] = count + 1 - person["image_id"]


def move_a_joint(content: dict[str, Any]) -> None:
    content["annotations"][0]["keypoints"][0] += 1


@pytest.mark.parametrize("change", [renumber, move_a_joint])
def test_other_data_are_refused(
    folder: Path, change: Callable[[dict[str, Any]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    relabel(folder, change)
    assert nas(search(folder, "--set", f"data.root={folder / 'people'}")) == 2
    assert "other training images" in capsys.readouterr().err


def test_moved_data_are_no_others(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "people").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    before = (folder / "run" / "search" / "evaluations.jsonl").read_text()
    assert nas(search(folder, "--set", "data.root=moved")) == 0
    assert (folder / "run" / "search" / "evaluations.jsonl").read_text() == before


def test_another_process_in_the_folder_keeps_a_search_out(folder: Path) -> None:
    holder = Holder(folder / "run")
    before = sorted((folder / "run").rglob("*"))
    with pytest.raises(UserError, match="is being written by"):
        search_run(RunFolder.open(folder / "run"), SearchSettings(budgets_ms=[1000.0]))
    assert sorted((folder / "run").rglob("*")) == before
    holder.let_go()


def test_a_field_of_what_the_run_is_cannot_be_set(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nas(search(folder, "--set", "batch=3")) == 2
    assert "batch=3: " in capsys.readouterr().err


def test_the_documentation_searches_from_python(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "search.md").read_text(encoding="utf-8")
    code = page.partition("```python\n")[2].partition("```")[0]
    asked = "budgets_ms=[5, 10], trials=200"
    assert asked in code
    tiny = (
        "budgets_ms=[1000], trials=1, finalists=1, metric='PCK_torso@0.5', "
        "predictor=Path('predictor.json'), allow_other_device=True"
    )
    (folder / "runs").mkdir()
    (folder / "run").rename(folder / "runs" / "mine")
    monkeypatch.chdir(folder)
    exec(code.replace(asked, tiny), {"Path": Path})
    *told, found = capsys.readouterr().out.splitlines()
    assert told[-1].startswith("1 of 1 networks scored; best by budget: {1000")
    assert found.split()[0] == next(iter(RunFolder.open(Path("runs/mine")).subnets_folder.iterdir())).stem
