"""What a report says of networks that are of another run, searched with this one."""

import json
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from nas.files import write_json
from nas.report.next_steps import next_steps_section
from nas.report.run_files import read_trainings, run_of, runs_of
from nas.report.samples import _files
from nas.report.subnets import subnets
from nas.runs import RunFolder, load_config
from nas.runs.subnet_training import RECORD
from nas.space import Arch, ArchManager, SearchSpace


@pytest.fixture(scope="module")
def archs() -> tuple[Arch, Arch]:
    manager = ArchManager(SearchSpace.load("demo"))
    return manager.smallest(), manager.largest()


@pytest.fixture
def runs(tmp_path: Path) -> tuple[RunFolder, RunFolder]:
    return RunFolder(tmp_path / "crowd"), RunFolder(tmp_path / "movenet")


@pytest.fixture
def results(archs: tuple[Arch, Arch]) -> dict[str, Any]:
    """One subnet of each run."""
    found = [
        {"name": name, "arch": arch.id, "run": run, "budget_ms": 5.0, "predicted_ms": 4.0, "loaded": False}
        for name, arch, run in zip(("small", "large"), archs, (".", "../movenet"), strict=True)
    ]
    runs = [{"run": each["run"], "space": "demo", "study": "s", "scored": 7} for each in found]
    return {"subnets": found, "runs": runs, "metric": "AP", "unmet_budgets_ms": []}


def train(run: RunFolder, name: str, arch: Arch) -> None:
    """What a fine-tuning leaves behind."""
    write_json(run.work_folder(name) / RECORD, {"arch": arch.to_json(), "scratch": False})
    (run.work_folder(name) / "metrics.jsonl").write_text(json.dumps({"step": 1, "val/subnet/AP": 0.5}) + "\n")


def test_the_way_to_a_run_holds_where_both_are_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = RunFolder(tmp_path / "a" / "first"), RunFolder(tmp_path / "b" / "second")
    for run in (first, second):
        run.path.mkdir(parents=True)
    way = first.way_to(second)
    assert way == "../../b/second"
    assert first.way_to(first) == "."
    assert first.at(way).path == second.path
    (tmp_path / "moved").mkdir()
    for name in ("a", "b"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    monkeypatch.chdir(tmp_path / "moved")
    assert RunFolder("a/first").at(way).path == Path("b/second")
    # The folder above a link is not the one above what it leads to.
    (tmp_path / "link").symlink_to(tmp_path / "moved" / "a" / "first")
    assert RunFolder(tmp_path / "link").at(way).path == tmp_path / "moved" / "b" / "second"


def test_each_network_is_looked_for_in_its_own_run(
    runs: tuple[RunFolder, RunFolder], results: dict[str, Any], archs: tuple[Arch, Arch]
) -> None:
    first, second = runs
    assert [run.path for run in runs_of(first, results)] == [first.path, second.path]
    assert runs_of(first, {"subnets": []}) == runs_of(first, None) == [first]
    assert run_of(first, {"name": "of a search of one run"}) is first
    for run in runs:
        run.subnets_folder.mkdir(parents=True)
        for name in ("small", "large"):
            (run.subnets_folder / f"{name}.safetensors").touch()
    files = _files(first, results)
    assert {path: own.path for path, own in files.items()} == {
        first.subnets_folder / "small.safetensors": first.path,
        second.subnets_folder / "large.safetensors": second.path,
    }
    # Of the other run only what this search found there.
    train(first, "mine", archs[0])
    train(first, "another", archs[1])
    train(second, "theirs", archs[1])
    train(second, "unknown", archs[0])
    assert [training.name for training in read_trainings(first, results)] == ["another", "mine", "theirs"]
    assert [training.name for training in read_trainings(second, None)] == ["theirs", "unknown"]
    assert "of ../movenet" in unescape(subnets(results, read_trainings(first, results)))


def test_commands_name_the_run_whose_weights_are_meant(
    runs: tuple[RunFolder, RunFolder], results: dict[str, Any]
) -> None:
    first, second = runs
    lines = unescape(next_steps_section(first, results)).splitlines()
    assert f"nas finetune {first.path} {first.subnets_folder / 'small.json'}" in lines
    assert f"nas finetune {second.path} {first.subnets_folder / 'large.json'}" in lines
    second.subnets_folder.mkdir(parents=True)
    (second.subnets_folder / "large.safetensors").touch()
    lines = unescape(next_steps_section(first, results)).splitlines()
    assert f"nas export {second.subnets_folder / 'large.safetensors'}" in lines


def test_a_run_that_is_gone_is_no_mistake(
    runs: tuple[RunFolder, RunFolder], results: dict[str, Any], archs: tuple[Arch, Arch]
) -> None:
    first = RunFolder.start(runs[0].path, load_config("demo"))
    train(first, "mine", archs[0])
    assert [training.name for training in read_trainings(first, results)] == ["mine"]
    assert _files(first, results) == {}
