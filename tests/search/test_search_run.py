"""Searching in a run folder, with a supernet that has learned nothing and really measured networks."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nas.errors import UserError
from nas.graph import Tracer
from nas.latency import LatencyPredictor, LatencyTable, Protocol, measure_space
from nas.search.run import SearchSettings, load_predictor, predicted_cost, search_run
from nas.space import Arch, SearchSpace, Skeleton
from nas.train import RunFolder, load_config

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run folder as training and fitting leave it behind, without the training."""
    import torch

    from nas.data.people import generate
    from nas.models import PoseNet, save_weights

    folder = tmp_path_factory.mktemp("run")
    generate(folder / "people" / "train", images=40, seed=1)
    overrides = [f"data.root={folder / 'people'}", "calibration.images=16", "threads=1", "accelerator=cpu"]
    config = load_config("demo", overrides)
    run = RunFolder.start(folder, config)
    space = config.load_space()
    torch.manual_seed(0)
    save_weights(run.weights_file, PoseNet(space, "coco17"))
    table = run.predictor_file.with_name("table.jsonl")
    protocol = Protocol(visits=1, warmups=1, runs=3, patience=0)
    measure_space(space, Skeleton.load("coco17"), samples=8, table=table, protocol=protocol)
    LatencyPredictor.fit(LatencyTable.read(table)).save(run.predictor_file)
    return run


@pytest.fixture(scope="module")
def budgets(run: RunFolder, space: SearchSpace) -> tuple[float, float]:
    cost = predicted_cost(LatencyPredictor.load(run.predictor_file), Tracer(space, "coco17"))
    rng = np.random.default_rng(0)
    times = [cost(space.sample(rng)) for _ in range(50)]
    return float(np.quantile(times, 0.4)), float(np.quantile(times, 0.9))


def settings_for(budgets: tuple[float, ...]) -> SearchSettings:
    return SearchSettings(budgets_ms=budgets, trials=6, metric="PCK_torso@0.5", finalists=2)


def test_what_is_written_is_within_the_budgets(run: RunFolder, budgets: tuple[float, float]) -> None:
    result = search_run(run, settings_for(budgets))
    assert len(result.history) == 6
    assert all(item.predicted_ms <= budgets[1] for item in result.history)
    for subnet in result.subnets:
        assert subnet.measured is not None
        assert subnet.measured.ms <= subnet.budget_ms
        assert Arch.load(run.subnets_folder / f"{subnet.name}.json") == subnet.arch
    written = json.loads((run.search_folder / "results.json").read_text())
    assert [entry["name"] for entry in written["subnets"]] == [subnet.name for subnet in result.subnets]
    assert written["budgets_ms"] == list(budgets)
    assert len(result.subnets) + len(result.unmet_ms) == 2

    search_images = json.loads(run.search_split_file.read_text())["sources"][0]["image_ids"]
    calibration = json.loads(run.calibration_file.read_text())["samples"]
    assert not {sample[1] for sample in calibration} & set(search_images)

    again = search_run(run, settings_for(budgets))
    assert again.history == result.history


@pytest.fixture
def foreign(run: RunFolder, tmp_path: Path) -> Path:
    """A predictor of another machine."""
    predictor = LatencyPredictor.load(run.predictor_file)
    path = tmp_path / "predictor.json"
    replace(predictor, device=replace(predictor.device, cpu="Another CPU")).save(path)
    return path


def test_another_devices_predictor_is_refused_unless_allowed(
    run: RunFolder, budgets: tuple[float, float], foreign: Path
) -> None:
    with pytest.raises(UserError, match="Another CPU"):
        search_run(run, replace(settings_for(budgets), predictor=foreign))
    allowed = replace(settings_for(budgets), predictor=foreign, allow_other_device=True)
    result = search_run(run, allowed)
    assert [subnet.measured for subnet in result.subnets] == [None, None]
    assert [subnet.figures()["measured_ms"] for subnet in result.subnets] == [None, None]


def test_people_multiply_the_time_of_a_network_on_crops(run: RunFolder, space: SearchSpace) -> None:
    predictor, tracer = LatencyPredictor.load(run.predictor_file), Tracer(space, "coco17")
    arch = space.smallest()
    one, three = (predicted_cost(predictor, tracer, people=people)(arch) for people in (1, 3))
    assert three == pytest.approx(3 * one)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: replace(s, budgets_ms=[1e-6]), "cheapest network of demo takes"),
        (lambda s: replace(s, predictor=Path("nowhere.json")), "nowhere.json: no latency predictor"),
        (lambda s: replace(s, metric="nonsense", storage="sqlite://"), "--metric nonsense"),
    ],
)
def test_a_users_mistake_is_named(
    run: RunFolder,
    budgets: tuple[float, float],
    change: Callable[[SearchSettings], SearchSettings],
    said: str,
) -> None:
    with pytest.raises(UserError, match=said):
        search_run(run, change(settings_for(budgets)))


def test_a_predictor_of_other_joints_is_refused(run: RunFolder) -> None:
    with pytest.raises(UserError, match="measure with --skeleton crowdpose14"):
        load_predictor(run.predictor_file, Skeleton.load("crowdpose14"))


def test_an_untrained_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.yaml"):
        RunFolder.open(tmp_path)
    untrained = RunFolder.start(tmp_path / "new", load_config("demo"))
    with pytest.raises(UserError, match="no trained supernet"):
        search_run(untrained, settings_for((1.0,)))
