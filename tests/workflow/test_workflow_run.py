"""The whole way on a few pictures: every step for real, each once, and on from wherever it was stopped."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from own_data import OwnData, own_data

from nas.cli.main import run as nas
from nas.runs import RunFolder
from nas.space import Arch
from nas.workflow import finetuning_step, search_step, timing_step, training_step, validation_step
from nas.workflow.start import write_start
from nas.workflow.steps import StepRecords

__all__ = ["own_data"]

pytestmark = pytest.mark.slow

QUICK = (
    "steps=4", "batch=4", "schedule.warmup=1", "sampling.pool=40", "calibration.images=8", "threads=1",
    "data.workers=0", "checkpoint.every=2", "validation.every=null", "finetune.steps=2", "finetune.batch=4",
    "workflow.timed=8", "workflow.visits=1", "workflow.trials=4", "accelerator=cpu",
)  # fmt: skip
WORK = {
    "timing": (timing_step, "measure_space"),
    "training": (training_step, "train_supernet"),
    "search": (search_step, "search_run"),
    "finetuning": (finetuning_step, "finetune_subnets"),
    "validation": (validation_step, "export_onnx"),
}
"""What does the work of each step."""


def command(recipe: Path, *options: str) -> list[str]:
    return ["run", str(recipe), *options, *(part for field in QUICK for part in ("--set", field))]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose run has gone the whole way; its folder."""
    folder = tmp_path_factory.mktemp("project")
    write: OwnData = own_data.__wrapped__(folder)  # type: ignore[attr-defined]
    recipe = write_start(write(count=40)).files[-1]
    assert nas(command(recipe)) == 0
    return folder / "data"


@pytest.fixture
def project(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, moved to another place; the current folder is yet another one."""
    shutil.copytree(finished, tmp_path / "moved", copy_function=shutil.copy2)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "moved"


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the steps whose work is called, in order."""
    called: list[str] = []

    def watched(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            called.append(name)
            return work(*arguments, **options)

        return call

    for name, (module, function) in WORK.items():
        monkeypatch.setattr(module, function, watched(name, getattr(module, function)))
    return called


def run_of(project: Path) -> RunFolder:
    return RunFolder(project / "runs" / "people")


def test_one_command_leads_from_a_coco_file_to_networks_and_a_report(finished: Path) -> None:
    run = run_of(finished)
    summary = json.loads(run.summary_file.read_text())
    assert {subnet["budget_ms"] for subnet in summary["subnets"]} | set(summary["unmet_budgets_ms"])
    assert len(summary["subnets"]) + len(summary["unmet_budgets_ms"]) == 2
    for subnet in summary["subnets"]:
        assert Path(subnet["onnx"]).is_file()
        assert Arch.load(run.subnets_folder / f"{subnet['name']}.json").id == subnet["arch"]
    assert "<html" in run.report_file.read_text()
    assert run.config().sampling.predictor == str(run.predictor_file)
    assert (run.path / "validation_people.png").is_file()
    # What was held out is a file that other commands take.
    held_out = run.workflow_folder / "held-out-0.json"
    onnx = summary["subnets"][0]["onnx"]
    assert len(json.loads(held_out.read_text())["images"]) == summary["validation"]["images"]
    assert nas(["validate", onnx, "--data", str(held_out), "--images", str(finished / "images")]) == 0


def test_the_same_command_again_does_nothing_from_any_folder(
    finished: Path, done: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(finished)
    before = run.summary_file.read_bytes(), run.report_file.stat().st_mtime_ns
    monkeypatch.chdir("/")
    assert nas(command(finished / "recipe.yaml", "--json")) == 0
    printed = capsys.readouterr()
    assert done == []
    assert printed.err.count("Done before.") == 7
    assert json.loads(printed.out) == json.loads(before[0])
    assert (run.summary_file.read_bytes(), run.report_file.stat().st_mtime_ns) == before


def test_a_project_that_moved_trains_nothing_anew(project: Path, done: list[str]) -> None:
    assert nas(command(project / "recipe.yaml")) == 0
    assert done in ([], ["validation"] * len(done))
    run = run_of(project)
    for subnet in json.loads(run.summary_file.read_text())["subnets"]:
        assert Path(subnet["onnx"]).is_relative_to(project)
    assert run.config().data.root == str(project)


def test_other_budgets_search_again_and_train_no_supernet(project: Path, done: list[str]) -> None:
    assert nas(command(project / "recipe.yaml", "--budget-ms", "1000")) == 0
    assert "search" in done
    assert not {"timing", "training"} & set(done)
    summary = json.loads(run_of(project).summary_file.read_text())
    assert [subnet["budget_ms"] for subnet in summary["subnets"]] == [1000]
    done.clear()
    assert nas(command(project / "recipe.yaml", "--budget-ms", "1000")) == 0
    assert done == []


def test_a_fine_tuning_of_another_length_is_refused_and_says_what_to_do(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nas([*command(project / "recipe.yaml"), "--set", "finetune.steps=3"]) == 2
    assert "another recipe" in capsys.readouterr().err.splitlines()[-1]


def test_another_recipe_is_refused_before_anything(
    project: Path, done: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert nas([*command(project / "recipe.yaml"), "--set", "optimizer.lr=0.5"]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Error")]
    assert "optimizer.lr (0.002 there, 0.5 now)" in line
    assert done == []


def test_other_labels_are_refused(project: Path, done: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    file = project / "people.json"
    content = json.loads(file.read_text())
    content["annotations"][3]["keypoints"][0] += 1
    file.write_text(json.dumps(content))
    assert nas(command(project / "recipe.yaml")) == 2
    assert "started with other training images or labels" in capsys.readouterr().err
    assert done == ["training"]  # which is what looks at them


def test_a_budget_that_nothing_meets_is_told_before_training(
    own_data: OwnData, done: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write_start(own_data(count=40)).files[-1]
    assert nas(command(recipe, "--budget-ms", "0.000001")) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("Error: --budget-ms 1e-06: the cheapest network of people takes")
    assert done == ["timing"]


def test_a_predictor_that_was_there_is_used(
    finished: Path, own_data: OwnData, done: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write_start(own_data(count=40)).files[-1]
    given = run_of(recipe.parent).predictor_file
    given.parent.mkdir(parents=True)
    shutil.copy(run_of(finished).predictor_file, given)
    content = given.read_bytes()
    for _ in range(2):
        assert nas(command(recipe, "--hours", "0.0000001")) == 0
    assert done == []
    assert given.read_bytes() == content
    assert "is used as it is" in capsys.readouterr().err


class _KilledError(BaseException):
    """Ends the process here, as kill -9 would."""


@pytest.fixture
def killer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Makes the next process die once a step has done its work, before that is recorded."""
    do = StepRecords.do
    point: list[str] = []

    def dying(records: StepRecords, name: str, inputs: Any, *, made: Any, work: Any) -> None:
        def last() -> None:
            work()
            if name in point:
                point.remove(name)
                raise _KilledError

        do(records, name, inputs, made=made, work=last)

    monkeypatch.setattr(StepRecords, "do", dying)
    yield point.append
    assert not point, "that step was not reached"


def test_killed_after_every_step_it_goes_on_and_trains_once(
    own_data: OwnData, done: list[str], killer: Callable[[str], None]
) -> None:
    recipe = write_start(own_data(count=40)).files[-1]
    run = run_of(recipe.parent)
    weights, found = b"", None
    for name in ("check", "timing", "training", "search", "finetuning", "validation", "report"):
        killer(name)
        with pytest.raises(_KilledError):
            nas(command(recipe))
        if name == "training":
            weights = run.weights_file.read_bytes()
        if name == "search":
            found = json.loads(run.results_file.read_text())["subnets"]
    assert nas(command(recipe)) == 0
    assert run.weights_file.read_bytes() == weights
    assert json.loads(run.results_file.read_text())["subnets"] == found
    assert done.count("timing") == 1  # what it measured is taken for given
    assert json.loads(run.summary_file.read_text())["subnets"]


def test_hours_pause_between_steps_until_all_is_done(
    own_data: OwnData, done: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write_start(own_data(count=40)).files[-1]
    report = run_of(recipe.parent).report_file
    calls = 0
    while not report.is_file():
        calls += 1
        assert calls < 30
        assert nas(command(recipe, "--hours", "0.0000001")) == 0
        printed = capsys.readouterr()
        # Some part of it is done in every call; one that pauses prints no figures.
        assert (printed.out == "") == (not report.is_file())
    assert calls >= 7
    assert done.count("timing") == 1
    assert done.count("training") > 1  # it pauses too
