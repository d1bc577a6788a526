"""Two supernets in one search: who wins with whose weights, also where the search was stopped in between."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from made_up_predictor import made_up_predictor
from search_fakes import fake_cost
from untrained_run import untrained_run

from nas.arrays import Floats
from nas.cli.main import run as nas
from nas.errors import UserError
from nas.graph import Tracer
from nas.latency import LatencyPredictor
from nas.report.run_report import write_report
from nas.runs import RunFolder
from nas.runs.subnet_file import load_subnet
from nas.search.budgets import cheapest
from nas.search.evaluator import SubnetEvaluator
from nas.search.judging import JointJudge
from nas.search.measuring import Bench
from nas.search.results import SearchResult
from nas.search.run import predicted_cost, search_run
from nas.search.settings import SearchSettings
from nas.search.storage import sqlite_url
from nas.search.together import _united, search_together
from nas.search.values import STOPPED_AT, Evaluation, interval_names
from nas.space import Arch, ArchManager, SearchSpace, Skeleton

METRIC = "PCK_torso@0.5"
SETTINGS = SearchSettings(
    budgets_ms=[16.0, 40.0], trials=10, metric=METRIC, finalists=1, allow_other_device=True
)
LARGE = [(128, 96)]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory, space: SearchSpace) -> Path:
    """Two runs of the same people; the networks of the second are larger, and it has no predictor."""
    folder = tmp_path_factory.mktemp("given")
    first = untrained_run(folder, space, images=40, name="first")
    changes = ["resolutions=[[128, 96]]", "seed=1"]
    untrained_run(
        folder, space.narrow(resolutions=LARGE), images=40, name="second", weights=1, changes=changes
    )
    first.predictor_file.parent.mkdir()
    made_up_predictor(space, Skeleton.load("coco17"), folder).rename(first.predictor_file)
    return folder


@pytest.fixture
def runs(given: Path, tmp_path: Path) -> tuple[RunFolder, RunFolder]:
    """The same, in folders of their own; the people lie where they were."""
    return copied(given, tmp_path)


def copied(given: Path, folder: Path) -> tuple[RunFolder, RunFolder]:
    first, second = (
        RunFolder.open(Path(shutil.copytree(given / name, folder / name))) for name in ("first", "second")
    )
    return first, second


def known(run: RunFolder) -> dict[str, float]:
    """What a run has scored while searching, by the ids of its networks."""
    rows = [json.loads(line) for line in run.evaluations_file.read_text().splitlines()]
    return {row["id"]: row["scores"][METRIC] for row in rows if row["key"] == rows[0]["key"]}


def history(result: SearchResult) -> list[tuple[Any, ...]]:
    """What was scored; the last digits of a prediction depend on what else was asked with it."""
    return [
        (entry["run"], entry["arch"], entry["accuracy"], round(entry["predicted_ms"], 6))
        for entry in result.to_json()["evaluated"]
    ]


@pytest.mark.slow
def test_the_best_of_both_wins_each_budget_with_its_own_weights(
    runs: tuple[RunFolder, RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = runs
    result = search_together(first, SETTINGS, also=[second])
    scored = {str(run.path): known(run) for run in runs}
    assert sum(map(len, scored.values())) == 10
    # A quarter each, at least.
    assert min(map(len, scored.values())) >= 2
    times = {item.arch.id: item.predicted_ms for item in result.history}
    assert len(times) == len(result.history), "an architecture that both have is told once"
    assert [subnet.budget_ms for subnet in result.subnets] == [16.0, 40.0]
    for subnet in result.subnets:
        assert subnet.run is not None
        own = first.at(subnet.run)
        within = [
            accuracy
            for of_run in scored.values()
            for arch, accuracy in of_run.items()
            if times[arch] <= subnet.budget_ms
        ]
        assert scored[str(own.path)][subnet.arch.id] == subnet.item.accuracy == max(within)

    # It is written once, and says of every network whose it is.
    results = json.loads(first.results_file.read_text())
    assert [entry["run"] for entry in results["runs"]] == [".", "../second"]
    assert [entry["scored"] for entry in results["runs"]] == [len(known(run)) for run in runs]
    assert {entry["run"] for entry in results["evaluated"]} == {".", "../second"}
    for entry in results["evaluated"]:
        assert known(first.at(entry["run"]))[entry["arch"]] == entry["accuracy"]
    assert not second.results_file.exists()
    assert not second.subnets_folder.exists()

    # Whoever goes on with a subnet is told whose weights it needs.
    for subnet in result.subnets:
        file = first.subnets_folder / f"{subnet.name}.json"
        own = first.at(str(subnet.run))
        (other,) = (run for run in runs if run.path != own.path)
        assert load_subnet(own, file) == subnet.arch
        assert nas(["transfer", str(other.path), str(file)]) == 2
        assert f"found with the weights of {own.path}" in capsys.readouterr().err
        assert nas(["transfer", str(own.path), str(file), "--name", "mine"]) == 0
        assert (own.subnets_folder / "mine-inherited.safetensors").is_file()


@pytest.mark.slow
def test_the_study_of_each_run_is_that_of_its_own_searches(
    runs: tuple[RunFolder, RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = runs
    together = search_together(first, SETTINGS, also=[second])
    monkeypatch.setattr(SubnetEvaluator, "until", lambda *_: pytest.fail("scored again"))
    asked = replace(SETTINGS, predictor=first.predictor_file, trials=1)
    alone = search_run(second, asked)
    assert {item.arch.id for item in alone.history} == set(known(second))
    assert "runs" not in alone.facts
    assert all("run" not in entry for entry in alone.to_json()["evaluated"])
    # To name all heads is to name none, and the same again is the same.
    again = search_together(first, replace(SETTINGS, heads=("simcc", "heatmap")), also=[second])
    assert again.to_json() == together.to_json()


@pytest.mark.slow
def test_a_search_that_is_stopped_again_and_again_is_the_one_that_never_was(
    given: Path, runs: tuple[RunFolder, RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of scoring a network, whichever run it is of."""
    undisturbed = copied(given, tmp_path / "undisturbed")
    whole = search_together(undisturbed[0], SETTINGS, also=undisturbed[1:])
    until = SubnetEvaluator.until

    def stopping(self: SubnetEvaluator, *arguments: Any) -> Any:
        if next(allowed, None) is None:
            raise KeyboardInterrupt
        return until(self, *arguments)

    for more in range(4):
        allowed = iter(range(more))
        with monkeypatch.context() as patch:
            patch.setattr(SubnetEvaluator, "until", stopping)
            with pytest.raises(KeyboardInterrupt):
                search_together(runs[0], SETTINGS, also=runs[1:])
    assert sum(len(known(run)) for run in runs) == 6
    assert history(search_together(runs[0], SETTINGS, also=runs[1:])) == history(whole)


@pytest.mark.slow
def test_a_budget_is_left_to_the_run_that_can_meet_it(
    runs: tuple[RunFolder, RunFolder], space: SearchSpace
) -> None:
    first, second = runs
    tracer = Tracer(space, "coco17")
    cost = predicted_cost(LatencyPredictor.load(first.predictor_file, allow_other_device=True), tracer)
    small, large = (cost(cheapest(each, cost)) for each in (space, space.narrow(resolutions=LARGE)))
    between = (small + large) / 2
    assert small < between < large
    result = search_together(first, replace(SETTINGS, budgets_ms=[between, 40.0], trials=6), also=[second])
    assert result.facts["budgets_ms"] == [between, 40.0]
    assert len(known(second)) >= 1
    assert (result.subnets[0].budget_ms, result.subnets[0].run) == (between, ".")
    with pytest.raises(UserError, match="cheapest network of demo takes"):
        search_together(first, replace(SETTINGS, budgets_ms=[small / 2, 40.0]), also=[second])


@pytest.mark.slow
def test_finalists_of_both_are_timed_side_by_side_once(
    runs: tuple[RunFolder, RunFolder], space: SearchSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = runs
    here = made_up_predictor(space, Skeleton.load("coco17"), tmp_path, here=True)
    settings = replace(
        SETTINGS,
        predictor=here,
        allow_other_device=False,
        budgets_ms=[1e3],
        trials=4,
        finalists=4,
        storage=sqlite_url(tmp_path / "shared.db"),
    )
    visits: list[int] = []
    time_archs = Bench.__call__

    def timing(bench: Bench, archs: Any, **options: Any) -> Any:
        visits.append(len(archs))
        return time_archs(bench, archs, **options)

    monkeypatch.setattr(Bench, "__call__", timing)
    result = search_together(first, settings, also=[second])
    # All of them are finalists, in one session; a second one for what is tied.
    assert visits[0] == len(result.measured) == len(result.history)
    assert {entry["run"] for entry in result.finalists()} == {".", "../second"}
    (subnet,) = result.subnets
    assert subnet.measured is not None
    assert subnet.measured.ms <= 1e3
    assert subnet.figures()["run"] == subnet.run
    visits.clear()
    assert search_together(first, settings, also=[second]).to_json() == result.to_json()
    assert visits == []

    report = write_report(first)
    page = report.path.read_text()
    assert f"Searched in {second.path}" in page
    assert not any("search" in part for part in report.missing), report.missing


@pytest.mark.slow
def test_the_command_tells_which_runs_there_are_and_what_comes_next(
    runs: tuple[RunFolder, RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = runs
    assert nas([
        "search", str(first.path), "--also", str(second.path), "--budget-ms", "40", "--trials", "4",
        "--metric", METRIC, "--allow-other-device", "--finalists", "1",
    ]) == 0  # fmt: skip
    told = capsys.readouterr().out
    assert f"{len(known(second))} networks of demo are scored in {second.path}" in told
    (entry,) = json.loads(first.results_file.read_text())["subnets"]
    own = first.at(entry["run"]).path
    assert f"Next: nas finetune {own} {first.subnets_folder / entry['name']}.json" in told


@pytest.fixture(scope="module")
def archs(space: SearchSpace) -> list[Arch]:
    rng = np.random.default_rng(0)
    return list(dict.fromkeys(ArchManager(space).sample(rng) for _ in range(20)))[:5]


def item(arch: Arch, accuracy: float, *, stopped: bool = False) -> Evaluation:
    scores = {"AP": accuracy, **({STOPPED_AT: 40} if stopped else {})}
    return Evaluation.of(arch, fake_cost(arch), scores, metric="AP")


def session(*history: Evaluation) -> Any:
    return SimpleNamespace(record=SimpleNamespace(history=lambda: list(history)))


def test_an_architecture_of_two_runs_counts_where_it_is_best(archs: list[Arch]) -> None:
    only, better, worse, estimated, _ = archs
    first = session(item(only, 0.3), item(better, 0.4), item(worse, 0.2), item(estimated, 0.9, stopped=True))
    second = session(item(worse, 0.5), item(better, 0.1), item(estimated, 0.1))
    found = _united([first, second])
    assert {arch: (each.accuracy, place) for arch, (each, place) in found.items()} == {
        only: (0.3, 0),
        better: (0.4, 0),
        worse: (0.5, 1),
        # What was scored to the end goes before a guess.
        estimated: (0.1, 1),
    }
    assert list(found) == [only, better, worse, estimated]


class FakeJudge:
    """The judge of one run: its networks' accuracies on drawn people."""

    def __init__(self, name: str, draws: Mapping[Arch, Floats]) -> None:
        self.name = name
        self._draws = draws

    def resampled(self, item: Evaluation) -> Floats:
        return self._draws[item.arch]

    def closer(self, item: Evaluation) -> Evaluation:
        return replace(item, scores={f"closer by {self.name}": 1.0})

    def whole(self, item: Evaluation) -> Evaluation:
        return replace(item, scores={f"whole by {self.name}": 1.0})


def test_networks_of_two_runs_are_compared_on_the_same_drawn_people(archs: list[Arch]) -> None:
    mine, theirs, same, apart, _ = archs
    # Who is drawn matters ten times more than who is better: only in pairs is the difference seen.
    people = np.random.default_rng(0).normal(0.5, 0.1, 400)
    first = FakeJudge("first", {mine: people, same: people[::-1].copy()})
    second = FakeJudge("second", {theirs: people + 0.01, apart: people + 0.01})
    judge = JointJudge({mine: first, same: first, theirs: second, apart: second})  # type: ignore[dict-item]
    assert not judge.tied(item(mine, 0.5), item(theirs, 0.51))
    assert judge.tied(item(same, 0.5), item(theirs, 0.51))
    # Intervals that lie apart are enough.
    low, high = interval_names("AP")
    scores = {"AP": 0.5, low: 0.4, high: 0.6}
    others = {"AP": 0.9, low: 0.8, high: 0.95}
    near = Evaluation.of(archs[4], 1.0, scores, metric="AP")
    assert not judge.tied(near, Evaluation.of(archs[4], 1.0, others, metric="AP"))
    assert judge.closer(item(apart, 0.5)).scores == {"closer by second": 1.0}
    assert judge.whole(item(mine, 0.5)).scores == {"whole by first": 1.0}


def test_a_recipe_that_trains_on_who_decides_is_told_before_anything_is_scored(
    runs: tuple[RunFolder, RunFolder],
) -> None:
    first, second = runs
    other = RunFolder.open(second.path, ["finetune.search_split=true"])
    with pytest.raises(UserError, match="search_split"):
        search_together(first, replace(SETTINGS, train_finalists=8), also=[other])
    assert not any(run.evaluations_file.is_file() for run in runs)
