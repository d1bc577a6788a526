"""The real command on several run folders at once, in a PostgreSQL database; processes are killed."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from made_up_predictor import made_up_predictor
from optuna.trial import FrozenTrial, TrialState
from untrained_run import untrained_run

from nas.cli.main import run as nas
from nas.errors import UserError
from nas.runs import RunFolder
from nas.search.loop import SearchProgress
from nas.search.results import SearchResult
from nas.search.run import search_run
from nas.search.settings import SearchSettings
from nas.search.shared import search_worker
from nas.search.storage import sqlite_url
from nas.search.together import search_together
from nas.space import SearchSpace, Skeleton
from nas.train.faults import LostProcessError

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["nas.locks", "nas.cli.main", "nas.search.shared"])

SETTINGS = SearchSettings(
    budgets_ms=[1000.0],
    trials=2,
    finalists=1,
    metric="PCK_torso@0.5",
    sampler="random",
    storage="sqlite:///never-made.db",
)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory, space: SearchSpace) -> Path:
    folder = tmp_path_factory.mktemp("given")
    run = untrained_run(folder, space)
    run.predictor_file.parent.mkdir()
    made_up_predictor(space, Skeleton.load("coco17"), folder, here=True).rename(run.predictor_file)
    return run.path


@pytest.fixture
def copies(given: Path, tmp_path: Path) -> list[Path]:
    return [Path(shutil.copytree(given, tmp_path / name)) for name in ("first", "second", "third")]


def arguments(run: Path, *options: str, trials: int) -> list[str]:
    return [
        "search", str(run), "--budget-ms", "1000", "--trials", str(trials), "--finalists", "1",
        "--metric", "PCK_torso@0.5", "--seed", "3", *options,
    ]  # fmt: skip


def command(run: Path, *options: str, trials: int) -> list[str]:
    return [sys.executable, "-m", "nas", *arguments(run, *options, trials=trials)]


def start(run: Path, *options: str, trials: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(run, *options, trials=trials), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _work(command_line: list[str]) -> None:
    """The command, in a fork."""
    sys.exit(nas(command_line))


class Watch:
    """Looks at the only search in a database."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._study: optuna.Study | None = None

    @property
    def trials(self) -> list[FrozenTrial]:
        """None while there is no study, or its tables are only being made."""
        if self._study is None:
            with suppress(Exception):
                names = optuna.get_all_study_names(self._url)
                (name,) = (name for name in names if not name.endswith(", finals"))
                self._study = optuna.load_study(study_name=name, storage=self._url)
        return self._study.get_trials(deepcopy=False) if self._study else []


def wait_for(happened: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not happened():
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.1)
            pytest.fail(f"ended before: {process.communicate()}")


def evaluated(runs: Sequence[Path]) -> list[str]:
    """Ids of the networks that were scored to the end while searching, in whatever run folder."""
    files = [run / "search" / "evaluations.jsonl" for run in runs]
    rows = [json.loads(line) for file in files if file.is_file() for line in file.read_text().splitlines()]
    # Finalists may have been scored once more, on more images.
    return [row["id"] for row in rows if row["key"] == rows[0]["key"]]


def archs(trials: Sequence[FrozenTrial], state: TrialState = TrialState.COMPLETE) -> list[str]:
    return [trial.user_attrs["arch"] for trial in trials if trial.state is state]


def history(run: Path) -> Any:
    return json.loads((run / "search" / "results.json").read_text())["evaluated"]


@pytest.mark.slow
def test_of_three_workers_one_is_killed_and_nothing_is_lost(database: str, copies: list[Path]) -> None:
    """Each in a copy of the run folder of its own."""
    wanted, whole = 30, ["--no-early-stopping"]
    workers = [start(run, *whole, "--storage", database, "--worker", trials=wanted) for run in copies]
    victim, watch = workers[1], Watch(database)

    def of_victim() -> list[FrozenTrial]:
        return [trial for trial in watch.trials if trial.user_attrs["worker"]["pid"] == victim.pid]

    def is_busy() -> bool:
        # It may have given back what another one had claimed before.
        return {trial.state for trial in of_victim()} >= {TrialState.COMPLETE, TrialState.RUNNING}

    wait_for(is_busy, victim)
    victim.kill()
    victim.communicate()
    outputs = [worker.communicate(timeout=600) for worker in workers if worker is not victim]
    assert [worker.returncode for worker in workers if worker is not victim] == [0, 0], outputs
    trials = watch.trials
    assert len(archs(trials)) == len(set(archs(trials))) == wanted
    assert archs(trials, TrialState.RUNNING) == []
    # What the victim had in work was scored by another one; nothing that was scored was scored again.
    assert set(archs(of_victim(), TrialState.FAIL)) <= set(archs(trials))
    assert len(evaluated(copies)) == len(set(evaluated(copies))) == wanted
    # One of the two others has measured the finalists, and the other says so.
    finished = [run for run in copies if (run / "search" / "results.json").is_file()]
    assert len(finished) == 1
    assert len(history(finished[0])) == wanted
    (told,) = [out for out, _ in outputs if "networks are scored, by all workers together" in out]
    assert str(finished[0]) in told


@pytest.mark.slow
def test_three_workers_share_a_folder_and_the_work(database: str, copies: list[Path]) -> None:
    """They begin at the same time: what they import is imported."""
    wanted, run = 36, copies[0]
    options = ["--no-early-stopping", "--storage", database, "--worker"]
    workers = [
        _forks.Process(target=_work, args=(arguments(run, *options, trials=wanted),)) for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    trials = Watch(database).trials
    assert len(set(archs(trials))) == len(archs(trials)) == wanted
    assert len(evaluated([run])) == len(set(evaluated([run]))) == wanted
    assert len(history(run)) == wanted
    shares = Counter(t.user_attrs["worker"]["pid"] for t in trials if t.state is TrialState.COMPLETE)
    assert len(shares) == 3
    assert max(shares.values()) <= 0.45 * wanted, shares


@pytest.mark.slow
@pytest.mark.parametrize("worker", [False, True])
def test_a_search_that_is_killed_again_and_again_is_the_one_that_never_was(
    request: pytest.FixtureRequest, copies: list[Path], worker: bool
) -> None:
    """Killed processes are forks of one that has imported everything; else they would mostly do that."""
    kills, wanted, rng = 20, 60, random.Random(5)
    options: tuple[str, ...] = ()
    url = sqlite_url(copies[1] / "search" / "study.db")
    if worker:
        url = request.getfixturevalue("database")
        options = ("--storage", url, "--worker")
    subprocess.run(command(copies[0], trials=wanted), check=True, capture_output=True)
    watch = Watch(url)
    for _ in range(kills):
        before = len(watch.trials)
        process = _forks.Process(target=_work, args=(arguments(copies[1], *options, trials=wanted),))
        process.start()
        while len(watch.trials) == before:
            process.join(timeout=0.05)
            assert process.is_alive(), "ended before anything was claimed"
        process.join(timeout=rng.uniform(0, 1))
        assert process.is_alive(), "ended before it was killed"
        process.kill()
        process.join()
    assert any(trial.state is not TrialState.COMPLETE for trial in watch.trials)
    subprocess.run(command(copies[1], *options, trials=wanted), check=True, capture_output=True)
    assert history(copies[1]) == history(copies[0])
    assert len(evaluated(copies[1:2])) == len(set(evaluated(copies[1:2])))


@pytest.mark.slow
def test_a_copy_with_other_weights_is_refused_in_one_line(
    copies: list[Path], space: SearchSpace, tmp_path: Path
) -> None:
    import torch

    from nas.models import PoseNet, save_weights

    settings = replace(SETTINGS, storage=sqlite_url(tmp_path / "shared.db"))
    first = search_worker(copies[0], settings)
    torch.manual_seed(1)
    save_weights(RunFolder.open(copies[1]).weights_file, PoseNet(space, "coco17"))
    with pytest.raises(
        UserError, match=r"second/weights\.safetensors: not the file .*; copy the run"
    ) as caught:
        search_worker(copies[1], settings)
    assert "\n" not in str(caught.value)
    # A true copy joins, and is told who has finished.
    again = search_worker(copies[2], settings)
    assert (again.scored, again.folder, again.done) == (2, str(copies[0]), True)  # type: ignore[union-attr]
    # Who wants finalists trained asks for more than was done.
    trained = search_worker(copies[2], replace(settings, train_finalists=8))
    assert isinstance(trained, SearchResult)
    assert trained.facts["train_finalists"] == 8
    assert len(first.history) == 2  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"storage": None}, "`worker` needs a `storage`"),
        ({"refine": 2}, "`refine` refits the predictor of one process"),
        ({"detector": Path("d.onnx")}, "`detector` is timed anew by every process"),
    ],
)
def test_what_workers_cannot_share_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        search_worker("nowhere", replace(SETTINGS, **change))


TOGETHER = replace(SETTINGS, storage=None, trials=6, early_stopping=False, processes=2)


class Other:
    """Holds a search back after its second network until another process scores as well."""

    def __init__(self, run: Path) -> None:
        self.watch = Watch(sqlite_url(run / "search" / "study.db"))
        self.pid = 0

    def __call__(self, progress: SearchProgress) -> None:
        for _ in range(1200):
            pids = {trial.user_attrs["worker"]["pid"] for trial in self.watch.trials} - {os.getpid()}
            if self.pid or pids or progress.done < 2:
                break
            time.sleep(0.1)
        else:
            pytest.fail("no other process has scored anything")
        if pids and not self.pid:
            self.pid = pids.pop()
            self.comes()

    def comes(self) -> None:
        pass


class Killed(Other):
    def comes(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


def test_processes_of_one_command_share_the_networks(copies: list[Path]) -> None:
    other = Other(copies[0])
    result = search_run(copies[0], TOGETHER, progress=other)
    assert other.pid
    assert len(set(archs(other.watch.trials))) == len(archs(other.watch.trials)) == len(result.history) == 6
    assert len(evaluated(copies[:1])) == len(set(evaluated(copies[:1])))


@pytest.mark.slow
def test_of_two_processes_one_is_killed_and_the_same_command_goes_on(copies: list[Path]) -> None:
    other = Killed(copies[0])
    with pytest.raises(LostProcessError, match="the same command goes on"):
        search_run(copies[0], TOGETHER, progress=other)
    result = search_run(copies[0], TOGETHER)  # all are scored already, by the first process
    assert len(set(archs(other.watch.trials))) == len(result.history) == 6


def test_what_processes_cannot_share_is_refused(copies: list[Path]) -> None:
    with pytest.raises(UserError, match=r"`refine` refits the predictor of one process.*`processes`"):
        search_run(copies[0], replace(SETTINGS, refine=2, processes=2))
    with pytest.raises(UserError, match="`processes` share the search of one run"):
        search_together(copies[0], replace(SETTINGS, processes=2), also=[copies[1]])
