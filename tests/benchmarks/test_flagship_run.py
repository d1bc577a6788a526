"""The whole comparison at a tiny size, from a run that has been searched to its table; killed on the way."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from made_up_predictor import made_up_predictor
from tiny_training import STAGE, RecipeMaker

from benchmarks.flagship import __main__ as program
from benchmarks.flagship import picks, trainings
from benchmarks.flagship.rows import Comparison, Row
from benchmarks.flagship.scoring import time_picks
from benchmarks.flagship.workplace import Workplace
from nas.graph import Tracer
from nas.latency import LatencyPredictor
from nas.models import PoseNet, load_weights, save_weights
from nas.runs import RunFolder
from nas.search.drift import Drift
from nas.search.evaluator import SubnetEvaluator
from nas.search.run import SearchSettings, search_run
from nas.space import ArchManager, SearchSpace, Skeleton

pytestmark = pytest.mark.slow

METRIC = "PCK_torso@0.5"
TRIALS = 6


@pytest.fixture
def searched(make_config: RecipeMaker, tiny_space: SearchSpace, tmp_path: Path) -> RunFolder:
    """A run with a supernet of random weights and a predictor of another machine."""
    source = {"annotations": "people.json", "images": "images"}
    data = {**make_config().data.model_dump(mode="json"), "val": [source]}
    run = RunFolder.start(tmp_path / "run", make_config(data=data))
    torch.manual_seed(0)
    save_weights(run.weights_file, PoseNet(tiny_space, "coco17"))
    run.predictor_file.parent.mkdir()
    made_up_predictor(tiny_space, Skeleton.load("coco17"), tmp_path).rename(run.predictor_file)
    return run


@pytest.fixture
def budget(searched: RunFolder, tiny_space: SearchSpace) -> float:
    """What the median network takes, as predicted."""
    predictor = LatencyPredictor.load(searched.predictor_file, allow_other_device=True)
    rng = np.random.default_rng(1)
    drawn = [ArchManager(tiny_space).sample(rng) for _ in range(101)]
    times = predictor.total_ms(drawn, tracer=Tracer(tiny_space, "coco17"))
    return round(float(np.median(times)), 3)


@pytest.fixture
def command(
    searched: RunFolder, budget: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """The program, on that run; hand-made networks are tiny."""
    small = {**STAGE, "type": "shuffle", "width": [8, 16], "depth": 1, "kernel": 3}
    del small["expansion"]
    space = {
        "name": "tiny-shuffle",
        "task": "crop",
        "resolution": [[32, 32]],
        "stem": {"type": "conv", "width": 8, "activation": "relu"},
        "stages": [small] * 3,
        "necks": {"none": {}},
        "heads": {"simcc": {"neck": "none"}},
    }
    file = tmp_path / "shuffle.yaml"
    file.write_text(yaml.safe_dump(space))
    for module in (picks, trainings):
        monkeypatch.setattr(module, "SHUFFLENET", file)
    monkeypatch.setattr(picks, "DRAWN", 400)
    monkeypatch.setattr(picks, "NEAR", 0.1)
    settings = SearchSettings(budgets_ms=[budget], trials=TRIALS, metric=METRIC, allow_other_device=True)
    search_run(searched, settings)

    def run(name: str, *options: str) -> int:
        return program.main([name, str(searched.path), *options])

    return run


def pick(command: Callable[..., int], *options: str) -> int:
    return command("pick", "--metric", METRIC, "--allow-other-device", *options)


def test_of_scaled_networks_of_several_heads_the_best_trained_one_is_picked(
    searched: RunFolder, budget: float, command: Callable[..., int]
) -> None:
    place = Workplace(searched)
    place.begin(Comparison(whole=(budget,), pair=()))
    assert pick(command, "--train-finalists", "16") == 0
    trained = place.found("scaled", budget)["trained"]
    assert {each["head"] for each in trained} == set(searched.config().load_space().heads)
    best = max(trained, key=lambda each: each["accuracy"])
    assert place.picked("scaled", budget).id == best["arch"]


def test_from_a_searched_run_to_a_table(
    searched: RunFolder,
    budget: float,
    command: Callable[..., int],
    steps: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place, comparison = Workplace(searched), Comparison(whole=(budget,), pair=())
    out = tmp_path / "out"
    former = searched.results_file.read_bytes(), sorted(searched.subnets_folder.iterdir())

    assert command("train") == 2
    assert "no comparison has begun; pick its architectures first" in capsys.readouterr().err
    # Before anything is picked the table says so, and trainings are passed over.
    place.begin(comparison)
    assert command("table", "--out", str(out)) == 0
    assert (out / "table.md").read_text().count("not run.") == 7
    assert command("train") == 0
    assert steps == []

    assert pick(command) == 0
    found = {name: place.found(name, at) for name, at in comparison.picks}
    archs = {name: place.picked(name, at) for name, at in comparison.picks}
    assert {name: facts["evaluations"] for name, facts in found.items()} == {
        "searched": TRIALS, "scaled": 2, "macs": TRIALS, "random": TRIALS, "hand-made": 0,
    }  # fmt: skip
    space = searched.config().load_space()
    for name, facts in found.items():
        arch = archs[name]
        assert arch is not None
        assert (facts["budget_ms"], facts["metric"]) == (budget, METRIC)
        assert space.contains(arch) == (name != "hand-made")
        assert facts.get("predicted_ms", 0) <= budget
    macs = found["macs"]
    assert macs["winner"]["mmac"] <= macs["limit_mmac"]
    assert macs["winner"]["accuracy"] >= macs["accuracy"]
    if macs["winner"]["predicted_ms"] <= budget:
        assert macs["accuracy"] == macs["winner"]["accuracy"]
    # The search's own files are as they were.
    assert (searched.results_file.read_bytes(), sorted(searched.subnets_folder.iterdir())) == former

    with monkeypatch.context() as patch:
        patch.setattr(picks, "PICKERS", {})
        assert pick(command) == 0  # all are picked already
    assert pick(command, "--whole", "9") == 2
    assert "other rows are compared here" in capsys.readouterr().err

    # A part of no length takes one step of one row; the same command goes on.
    assert command("train", "--hours", "1e-9") == 0
    assert steps == [0]
    assert "Time is up: searched-" in capsys.readouterr().out
    assert command("train") == 0
    longer = (16 + 48) // 4
    assert len(steps) == 8 * 4 + 2 * longer
    assert command("train") == 0
    assert len(steps) == 8 * 4 + 2 * longer
    assert all(place.weights_file(row).is_file() for row in comparison.rows)
    trained = load_weights(place.weights_file(Row("hand-made", budget)))
    assert trained.arch is not None
    assert trained.arch == archs["hand-made"]

    with monkeypatch.context() as patch:
        patch.setattr(Drift, "of", lambda now, table: Drift(2.0, 1.9, 2.1, len(now)))
        time_picks(place, comparison, visits=1)
    timed = json.loads(place.timings_file.read_text())
    assert timed["drift"]["ratio"] == 2.0
    assert all(each["measured_ms"] == each["uncorrected_ms"] / 2 for each in timed["networks"].values())
    assert command("table", "--out", str(out)) == 0
    content = json.loads((out / "flagship.json").read_text())
    assert [entry["status"] for entry in content["rows"]] == ["2 of 2"] * 3 + ["1 of 1"] * 4
    images = {entry["kind"]: {each["images"] for each in entry["trainings"]} for entry in content["rows"]}
    assert {kind for kind, lengths in images.items() if lengths == {64}} == {"scratch-long", "hand-made"}
    assert all(entry["measured_ms"] > 0 for entry in content["rows"])
    assert all("verdict" in entry for entry in content["rows"][1:])
    assert "verdict" not in content["rows"][0]
    people = json.loads((out / "people.json").read_text())
    assert len(people["images"]) == len(people["counted"]) == 40
    assert set(people) == {"images", "counted", *(row.name for row in comparison.rows)}
    metrics = content["rows"][0]["trainings"][0]["metrics"]
    right = people[Row("searched", budget).name]["PCK@0.2"]
    assert metrics["PCK@0.2"] == pytest.approx(sum(right) / sum(people["counted"]))
    assert "not run" not in (out / "table.md").read_text()

    # Another network under a row's name is refused.
    place.keep("scaled", budget, trained.arch, {"evaluations": 1})
    assert command("train") == 2
    assert "holds another network than is picked by now" in capsys.readouterr().err


def test_what_cannot_be_picked_is_told_and_does_not_keep_others_from_it(
    searched: RunFolder, command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert pick(command, "--whole", "--pair", "77") == 2
    assert "searched at 77 ms: " in (said := capsys.readouterr().err)
    assert "no subnet for 77 ms; search at that budget first" in said
    place = Workplace(searched)
    assert place.picked("searched", 77) is None
    assert place.picked("scaled", 77) is not None


def test_picks_that_were_killed_go_on_to_the_same(
    searched: RunFolder,
    budget: float,
    command: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    straight = Workplace(RunFolder(shutil.copytree(searched.path, tmp_path / "straight")))
    options = ["--whole", f"{budget}", "--pair", "--metric", METRIC, "--allow-other-device"]
    assert program.main(["pick", str(straight.run.path), *options]) == 0
    original, calls = SubnetEvaluator.until, 0

    def until(self: SubnetEvaluator, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls in (2, 5, 8):
            raise KeyboardInterrupt
        return original(self, *arguments)

    monkeypatch.setattr(SubnetEvaluator, "until", until)
    place, codes = Workplace(searched), [130]
    while codes[-1] == 130:
        codes.append(command("pick", *options))
    assert codes == [130, 130, 130, 130, 0]
    for pick, at in place.comparison.picks:
        assert place.found(pick, at) == straight.found(pick, at)
        assert place.picked(pick, at) == straight.picked(pick, at)


def test_a_run_that_was_not_searched_is_told(searched: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["pick", str(searched.path)]) == 2
    assert "has not been searched yet" in capsys.readouterr().err
    assert not Workplace(searched).folder.exists()


def test_ladders_are_timed_where_the_predictor_is_of_this_machine(
    searched: RunFolder, tiny_space: SearchSpace, tmp_path: Path
) -> None:
    (tmp_path / "here").mkdir()
    made_up_predictor(tiny_space, Skeleton.load("coco17"), tmp_path / "here", here=True).replace(
        searched.predictor_file
    )
    settings = SearchSettings(budgets_ms=[1e6], trials=1, metric=METRIC)
    search = picks.prepare(searched, settings, picks.Displays())
    rungs = picks.ladder(tiny_space, head="simcc", neck="none")[:2]
    measured = picks._milliseconds(search, tiny_space, rungs)
    predicted = search.base.many(rungs).tolist()
    assert len(measured) == 2
    # Of a predictor that makes up its times, by a millisecond for a million MACs.
    assert all(0 < real < made_up for real, made_up in zip(measured, predicted, strict=True))
