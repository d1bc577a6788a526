"""Subnets for another device, of what was scored before: nothing is scored anew, the run stays as it is."""

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from made_up_predictor import made_up_predictor
from search_fakes import claim_one, fake_cost, score_one
from untrained_run import untrained_run

from nas.cli.search_display import print_place, print_subnets
from nas.errors import UserError
from nas.graph import Tracer
from nas.latency import LatencyPredictor
from nas.runs import RunFolder, load_config
from nas.search.record import SearchRecord
from nas.search.run import predicted_cost, search_run
from nas.search.scoring import Scoring
from nas.search.settings import TRIALS, SearchSettings
from nas.search.shared import search_worker
from nas.search.storage import sqlite_url
from nas.search.study import evaluation_key
from nas.space import Arch, ArchManager, SearchSpace, Skeleton


@pytest.fixture(scope="module")
def device(space: SearchSpace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A predictor of another machine."""
    return made_up_predictor(space, Skeleton.load("coco17"), tmp_path_factory.mktemp("device"))


@pytest.fixture(scope="module")
def archs(space: SearchSpace) -> list[Arch]:
    rng = np.random.default_rng(3)
    return list(dict.fromkeys(ArchManager(space).sample(rng) for _ in range(8)))


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run folder without anything that a network could be scored with."""
    overrides = [f"data.root={tmp_path / 'gone'}", "threads=1", "accelerator=cpu"]
    run = RunFolder.start(tmp_path / "run", load_config("demo", overrides))
    for file in (run.weights_file, run.search_split_file, run.calibration_file):
        file.write_text("arbitrary")
    return run


def record_of(run: RunFolder, space: SearchSpace, *, metric: str = "AP") -> SearchRecord:
    """The study of a new search in a run."""
    run.search_folder.mkdir(exist_ok=True)
    return SearchRecord(
        space,
        storage=sqlite_url(run.study_file),
        key=Scoring().key(evaluation_key(run)),
        metric=metric,
        cost=fake_cost,
    )


@pytest.fixture
def searched(run: RunFolder, space: SearchSpace, archs: Sequence[Arch]) -> RunFolder:
    """The same with a study: the later a network, the more accurate."""
    record = record_of(run, space)
    for place, arch in enumerate(archs):
        score_one(record, arch, 0.1 + place / 100)
    return run


@pytest.fixture(scope="module")
def times(device: Path, space: SearchSpace, archs: Sequence[Arch]) -> dict[str, float]:
    predictor = LatencyPredictor.load(device, allow_other_device=True)
    cost = predicted_cost(predictor, Tracer(space, "coco17"))
    return {arch.id: cost(arch) for arch in archs}


def settings_for(device: Path, *budgets: float, **options: Any) -> SearchSettings:
    return SearchSettings(budgets_ms=budgets, device=device, **options)


def contents(folder: Path) -> dict[Path, bytes]:
    """Of all files but locks."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {path: path.read_bytes() for path in files}


def test_the_best_within_a_budget_there_is_found_without_an_evaluation(
    searched: RunFolder, device: Path, archs: Sequence[Arch], times: dict[str, float]
) -> None:
    searched.results_file.write_text('{"average_pose": {"AP": 0.5}}')
    searched.subnets_folder.mkdir()
    before = contents(searched.path)
    budgets = sorted(times.values())[3], max(times.values())
    result = search_run(searched, settings_for(device, *budgets))
    for subnet, budget in zip(result.subnets, budgets, strict=True):
        fitting = [arch for arch in archs if times[arch.id] <= budget]
        # The latest is the most accurate.
        assert subnet.arch == fitting[-1]
        assert subnet.item.predicted_ms == pytest.approx(times[subnet.arch.id])
        assert subnet.measured is None
    assert {item.arch for item in result.history} == set(archs)
    assert [item.accuracy for item in result.history] == [0.1 + place / 100 for place in range(len(archs))]
    assert result.average_pose is None, "the run's results are of another study"

    # It has a place of its own; what lay in the run is as it was.
    assert result.place is not None
    there = LatencyPredictor.load(device, allow_other_device=True).device
    folder = searched.path / "devices" / there.fingerprint
    assert (result.place.file, result.place.subnets) == (folder / "results.json", folder / "subnets")
    written = json.loads(result.place.file.read_text())
    assert [entry["name"] for entry in written["subnets"]] == [subnet.name for subnet in result.subnets]
    assert written["predictor"] == str(device)
    for subnet in result.subnets:
        assert Arch.load(result.place.subnets / f"{subnet.name}.json") == subnet.arch
    after = contents(searched.path)
    assert {path: content for path, content in after.items() if folder not in path.parents} == before


def test_the_average_pose_is_that_of_the_runs_own_search(searched: RunFolder, device: Path) -> None:
    name = search_run(searched, settings_for(device, 1e9)).facts["study"]
    searched.results_file.write_text(json.dumps({"study": name, "average_pose": {"AP": 0.12}}))
    assert search_run(searched, settings_for(device, 1e9)).average_pose == 0.12


def test_what_was_stopped_early_wins_nothing(
    searched: RunFolder, space: SearchSpace, device: Path, archs: Sequence[Arch]
) -> None:
    record = record_of(searched, space)
    stopped = ArchManager(space).smallest()
    record.tell(claim_one(record, stopped), {"AP": 0.9, "stopped_at": 40})
    result = search_run(searched, settings_for(device, 1e9))
    assert result.subnets[0].arch == archs[-1]
    assert stopped not in {item.arch for item in result.history}


def test_a_budget_that_nothing_keeps_is_told(
    searched: RunFolder, device: Path, times: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    tight = 0.999 * min(times.values())
    result = search_run(searched, settings_for(device, tight, 1e9))
    assert result.unmet_ms == (tight,)
    assert len(result.subnets) == 1
    print_subnets(result)
    print_place(result, searched.path)
    printed = capsys.readouterr()
    said = " ".join(printed.err.split())
    assert f"{tight:g} ms: none of the networks that were scored is predicted within it" in said
    assert result.place is not None
    assert str(result.place.file) in "".join(printed.out.split())


def test_a_run_that_was_not_searched_so_is_refused_in_one_line(
    run: RunFolder, space: SearchSpace, device: Path, archs: Sequence[Arch]
) -> None:
    with pytest.raises(UserError, match="no network of it has been scored"):
        search_run(run, settings_for(device, 1e9))
    assert not run.study_file.exists()
    score_one(record_of(run, space), archs[0], 0.2)
    with pytest.raises(UserError, match=r"scored by PCK_torso@0\.5 in .*by AP some are") as caught:
        search_run(run, settings_for(device, 1e9, metric="PCK_torso@0.5"))
    assert "\n" not in str(caught.value)
    studies = optuna.get_all_study_names(sqlite_url(run.study_file))
    assert len(studies) == 1, "asking makes no study"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"predictor": Path("other.json")}, "`device` is a predictor, too"),
        ({"refine": 3}, "`refine` measures while networks are scored: give `trials`"),
        ({"prior": Path("run")}, "`prior` says which networks to score, and none is: give `trials`"),
        ({"prior": Path("run"), "trials": 3, "sampler": "random"}, "the `sampler` random has none"),
    ],
)
def test_what_does_not_go_together_is_refused(
    searched: RunFolder, device: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        search_run(searched, settings_for(device, 1e9, **change))


def test_a_worker_without_anything_to_score_is_refused(device: Path) -> None:
    settings = settings_for(device, 1e9, storage="sqlite:///never-made.db")
    with pytest.raises(UserError, match="`worker` scores networks, and for another `device` none is"):
        search_worker("nowhere", settings)


def test_networks_are_scored_where_they_are_asked_for(device: Path) -> None:
    assert SearchSettings(budgets_ms=[1]).to_score == TRIALS
    assert settings_for(device, 1).to_score == 0
    assert settings_for(device, 1, trials=7).to_score == 7


def test_other_joints_are_an_error_and_another_space_is_one_line(
    searched: RunFolder, space: SearchSpace, device: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        search_run(searched, settings_for(device, 1e9))
    assert caplog.messages == []
    known = LatencyPredictor.load(device, allow_other_device=True)
    joints = tmp_path / "joints.json"
    replace(known, skeleton=Skeleton.load("crowdpose14")).save(joints)
    with pytest.raises(UserError, match=r"joints\.json: predicts networks of 14 joints"):
        search_run(searched, settings_for(joints, 1e9))
    narrow = tmp_path / "narrow.json"
    replace(known, spaces=(space.narrow(resolutions=space.resolutions[:1]).to_json(),)).save(narrow)
    with caplog.at_level(logging.WARNING):
        search_run(searched, settings_for(narrow, 1e9))
    (line,) = caplog.messages
    assert str(narrow) in line
    assert "networks of another space" in line


def test_what_is_scored_for_a_device_is_counted_apart(
    run: RunFolder, space: SearchSpace, archs: Sequence[Arch]
) -> None:
    own = record_of(run, space)
    score_one(own, archs[0], 0.2)
    other = SearchRecord(
        space,
        storage=sqlite_url(run.study_file),
        key=Scoring().key(evaluation_key(run)),
        metric="AP",
        cost=fake_cost,
        device="abc",
    )
    score_one(other, archs[1], 0.3)
    score_one(other, archs[2], 0.3)
    assert (own.count([9e9]), other.count([9e9])) == (1, 2)
    assert len(own.history()) == len(other.history()) == 3
    attributes = [trial.user_attrs.get("device") for trial in own._claims.study.trials]
    assert attributes == [None, "abc", "abc"]


@pytest.mark.slow
def test_more_networks_are_scored_where_that_is_asked_and_known_ones_count(
    space: SearchSpace, device: Path, tmp_path: Path
) -> None:
    run = untrained_run(tmp_path, space)
    own = made_up_predictor(space, Skeleton.load("coco17"), tmp_path, here=True)
    run.predictor_file.parent.mkdir()
    own.rename(run.predictor_file)
    asked = {"metric": "PCK_torso@0.5", "sampler": "random", "finalists": 1}
    first = search_run(run, SearchSettings(budgets_ms=[1e3], trials=4, **asked))  # type: ignore[arg-type]
    kept = run.results_file.read_bytes()
    known = search_run(run, settings_for(device, 1e3, **asked))
    assert [item.arch for item in known.history] == [item.arch for item in first.history]
    assert known.average_pose == first.average_pose
    more = search_run(run, settings_for(device, 1e3, trials=3, **asked))
    again = search_run(run, settings_for(device, 1e3, trials=3, **asked))
    assert [item.arch for item in more.history[:4]] == [item.arch for item in first.history]
    assert len(more.history) == len(again.history) == 7
    assert run.results_file.read_bytes() == kept


@pytest.mark.slow
def test_on_this_machine_finalists_are_measured_and_lie_apart(
    searched: RunFolder, space: SearchSpace, tmp_path: Path
) -> None:
    """A predictor of other threads, for one."""
    here = made_up_predictor(space, Skeleton.load("coco17"), tmp_path, here=True)
    result = search_run(searched, settings_for(here, 1e9, finalists=2))
    (subnet,) = result.subnets
    assert subnet.measured is not None
    assert len(result.measured) == 2
    assert not searched.results_file.exists()
    again = search_run(searched, settings_for(here, 1e9, finalists=2))
    assert again.to_json() == result.to_json(), "timed once"
