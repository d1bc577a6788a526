"""Searching in a run folder, with a supernet that has learned nothing and really measured networks."""

import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from nas.errors import UserError
from nas.graph import Tracer, to_onnx
from nas.latency import LatencyPredictor, measure_space
from nas.runs import RunFolder, load_config
from nas.search.limits import Limits
from nas.search.measuring import Bench
from nas.search.run import Displays, SearchSettings, load_predictor, predicted_cost, search_run
from nas.space import Arch, ArchManager, SearchSpace, Skeleton
from nas.timing import LatencyTable, Protocol, Timing, VisitOutcome, VisitPlan, time_networks

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run folder as training and fitting leave it behind, without the training."""
    import torch

    from nas.demo.people import generate
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
    times = [cost(ArchManager(space).sample(rng)) for _ in range(50)]
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
    # A supernet of random weights: the average pose, on the same people, is told to be as good.
    assert written["average_pose_accuracy"] == written["average_pose"]["PCK_torso@0.5"] > 0
    best = max(item.accuracy for item in result.history)
    assert written["better_than_average_pose"] == (best > written["average_pose_accuracy"])
    assert written["measured_on"] == written["device"]

    search_images = json.loads(run.search_split_file.read_text())["sources"][0]["image_ids"]
    calibration = json.loads(run.calibration_file.read_text())["samples"]
    assert not {sample[1] for sample in calibration} & set(search_images)


def test_the_same_search_again_says_the_same(
    run: RunFolder, budgets: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(budgets)
    result = search_run(run, settings)
    with monkeypatch.context() as patch:
        patch.setattr(Bench, "__call__", lambda *_, **__: pytest.fail("timed again"))
        again = search_run(run, settings)
    assert again.to_json() == result.to_json()

    # For more people the same networks take another time: it is measured, not taken from before.
    timed = []

    def timing(bench: Bench, archs: Sequence[Arch], **options: Any) -> list[Timing]:
        timed.extend(archs)
        return time_archs(bench, archs, **options)

    time_archs = Bench.__call__
    monkeypatch.setattr(Bench, "__call__", timing)
    search_run(run, replace(settings, people=2, budgets_ms=[2 * budget for budget in budgets]))
    assert timed


def test_a_search_of_one_head_looks_at_no_other(run: RunFolder, space: SearchSpace) -> None:
    assert len(space.heads) > 1
    for head in space.heads:
        settings = replace(settings_for((1e9,)), heads=(head,), trials=3, finalists=1)
        result = search_run(run, settings)
        assert len(result.history) == 3
        assert {item.arch.head.type for item in result.history} == {head}
    with pytest.raises(UserError, match="head: crystal is not among"):
        search_run(run, replace(settings_for((1e9,)), heads=("crystal",)))


@pytest.fixture
def foreign(run: RunFolder, tmp_path: Path) -> Path:
    """A predictor of another machine."""
    predictor = LatencyPredictor.load(run.predictor_file)
    path = tmp_path / "predictor.json"
    replace(predictor, device=replace(predictor.device, cpu="Another CPU")).save(path)
    return path


class Interrupting:
    """Progress of timing that is stopped after so many visits; counts them."""

    def __init__(self, after: int | None = None) -> None:
        self.visits = 0
        self._after = after

    def begin(self, plan: VisitPlan) -> None:
        pass

    def visited(self, outcome: VisitOutcome) -> None:
        if self.visits == self._after:
            raise KeyboardInterrupt
        self.visits += not outcome.discarded

    def displays(self) -> Displays:
        return Displays(timing=lambda: nullcontext(self))


@pytest.fixture
def copied(run: RunFolder, tmp_path: Path) -> RunFolder:
    """The run, in a folder of its own, before any search."""
    for name in ("config.yaml", "weights.safetensors", "search_split.json", "calibration.json", "latency"):
        source = run.path / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / "run" / name)
        elif source.is_file():
            (tmp_path / "run").mkdir(exist_ok=True)
            shutil.copy(source, tmp_path / "run" / name)
    return RunFolder.open(tmp_path / "run")


def test_a_refined_search_measures_each_network_once_and_says_whose_predictions_they_are(
    copied: RunFolder, budgets: tuple[float, float]
) -> None:
    settings = replace(settings_for(budgets), refine=3)
    given = copied.predictor_file.read_bytes()
    table = copied.predictor_file.with_name("table.jsonl")
    before, known = table.read_bytes(), LatencyTable.read(table).visits
    with pytest.raises(KeyboardInterrupt):
        search_run(copied, settings, progress=Interrupting(after=2).displays())
    torn = table.read_bytes()
    assert torn.startswith(before)
    result = search_run(copied, settings)
    assert table.read_bytes().startswith(torn)
    assert copied.predictor_file.read_bytes() == given

    rounds = result.facts["refinement"]
    refined = [tried["arch"] for done in rounds for tried in done["networks"]]
    assert len(refined) == len(set(refined)) == 3
    visits = LatencyTable.read(table).visits
    assert set(visits.values()) == {1}
    assert {f"{arch}-coco17" for arch in refined} <= set(visits)
    assert {f"{finalist.item.arch.id}-coco17" for finalist in result.measured} <= set(visits)

    # Predictions are those of the refitted predictor, whose file is of its own.
    digest = result.facts["refined_predictor_digest"]
    cost = predicted_cost(
        LatencyPredictor.load(copied.search_folder / f"predictor-{digest}.json"),
        Tracer(copied.config().load_space(), "coco17"),
    )
    assert all(item.predicted_ms == pytest.approx(cost(item.arch)) for item in result.history)
    study = optuna.load_study(
        study_name=result.facts["study"], storage=f"sqlite:///{copied.search_folder / 'study.db'}"
    )
    digests = [trial.user_attrs["predictor"] for trial in study.trials]
    wanted = [rounds[0]["before"]] * 2 + [rounds[1]["before"]] * 2 + [rounds[2]["before"]] * 2
    assert digests == wanted
    fitted = {key.removesuffix("-coco17") for key in known} | set(refined)
    assert all(entry["in_fit"] == (entry["arch"] in fitted) for entry in result.finalists())

    watch = Interrupting(after=0)
    again = search_run(copied, settings, progress=watch.displays())
    assert watch.visits == 0
    assert again.to_json() == result.to_json()


def test_a_predictor_that_cannot_be_refined_is_refused(
    copied: RunFolder, budgets: tuple[float, float], foreign: Path
) -> None:
    refining = replace(settings_for(budgets), refine=2)
    with pytest.raises(UserError, match="`refine` measures on this machine"):
        search_run(copied, replace(refining, predictor=foreign, allow_other_device=True))
    alone = copied.path / "elsewhere" / "predictor.json"
    alone.parent.mkdir()
    shutil.copy(copied.predictor_file, alone)
    with pytest.raises(UserError, match=r"no table\.jsonl lies beside it"):
        search_run(copied, replace(refining, predictor=alone))


def test_the_detector_is_paid_once_and_the_network_for_everybody(
    copied: RunFolder, budgets: tuple[float, float], tmp_path: Path
) -> None:
    detector = tmp_path / "detector.onnx"
    space, skeleton = copied.config().load_space(), "coco17"
    detector.write_bytes(to_onnx(Tracer(space, skeleton)(ArchManager(space).largest())).SerializeToString())
    settings = replace(settings_for((10 * budgets[1],)), people=2, detector=detector, finalists=1, trials=3)
    result = search_run(copied, settings)
    kept = json.loads((copied.search_folder / "detector.json").read_text())["detector_ms"]
    assert kept > 0
    predictor = LatencyPredictor.load(copied.predictor_file)
    totals = predictor.total_ms([item.arch for item in result.history], people=2, detector_ms=kept)
    assert [item.predicted_ms for item in result.history] == pytest.approx(totals.tolist())
    for entry in result.finalists():
        parts = entry["detector_ms"] + 2 * (entry["network_ms"] + entry["grouping_ms"])
        assert entry["people"] == 2
        assert entry["detector_ms"] > 0
        assert entry["measured_ms"] == pytest.approx(parts)
    again = search_run(copied, settings)
    assert again.facts["detector_ms"] == kept


def test_another_devices_predictor_is_refused_unless_allowed(
    run: RunFolder, budgets: tuple[float, float], foreign: Path
) -> None:
    with pytest.raises(UserError, match="Another CPU"):
        search_run(run, replace(settings_for(budgets), predictor=foreign))
    allowed = replace(settings_for(budgets), predictor=foreign, allow_other_device=True)
    result = search_run(run, allowed)
    assert [subnet.measured for subnet in result.subnets] == [None, None]
    assert [subnet.figures()["measured_ms"] for subnet in result.subnets] == [None, None]


def test_predictions_decide_where_nothing_is_to_be_measured(
    copied: RunFolder, budgets: tuple[float, float]
) -> None:
    settings = replace(settings_for(budgets), measure=False)
    result = search_run(copied, settings)
    assert result.facts["measured_on"] is None
    assert result.subnets
    for subnet in result.subnets:
        fitting = sorted(
            (item for item in result.history if item.predicted_ms <= subnet.budget_ms),
            key=lambda item: -item.accuracy,
        )
        # Of those that are tied with the best, scored again with more images, it is the best.
        assert subnet.arch in [item.arch for item in fitting[: settings.finalists]]
        assert set(subnet.tied) < {item.arch.id for item in fitting[: settings.finalists]}
        assert subnet.measured is None
    for change in ({"refine": 2}, {"detector": Path("detector.onnx")}):
        with pytest.raises(UserError, match="are measured here: leave them out"):
            search_run(copied, replace(settings, **change))


def test_people_multiply_the_time_of_a_network_on_crops(run: RunFolder, space: SearchSpace) -> None:
    predictor, tracer = LatencyPredictor.load(run.predictor_file), Tracer(space, "coco17")
    arch = ArchManager(space).smallest()
    one, three = (predicted_cost(predictor, tracer, people=people)(arch) for people in (1, 3))
    assert three == pytest.approx(3 * one)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: replace(s, budgets_ms=[1e-6]), "cheapest network of demo takes"),
        (lambda s: replace(s, predictor=Path("nowhere.json")), "nowhere.json: no latency predictor"),
        (lambda s: replace(s, metric="nonsense", storage="sqlite://"), "metric 'nonsense' is not known"),
        (lambda s: replace(s, detector=Path("d.onnx"), detector_ms=3.0), "give one of them"),
        (lambda s: replace(s, detector=Path("nowhere.onnx")), "nowhere.onnx: no such model file"),
        (lambda s: replace(s, sampler="magic"), "`sampler` magic: there is no such sampler"),
        (lambda s: replace(s, detector_ms=1e3), "cheapest network of demo takes 1000"),
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
    with pytest.raises(UserError, match="measure with the skeleton crowdpose14"):
        load_predictor(run.predictor_file, Skeleton.load("crowdpose14"))


def test_a_metric_that_nobody_can_be_measured_by_is_refused(
    run: RunFolder, budgets: tuple[float, float]
) -> None:
    """The generated people are far too large for it; CrowdPose's images alone have an index."""
    for metric, said in (("AP_small", "nobody to measure it on"), ("CrowdPose_AP", "cannot be scored by it")):
        with pytest.raises(UserError, match=f"metric {metric}: .*{said}"):
            search_run(run, replace(settings_for(budgets), metric=metric))


def test_a_predictor_of_another_onnxruntime_searches_and_measures(
    copied: RunFolder, budgets: tuple[float, float], caplog: pytest.LogCaptureFixture
) -> None:
    known = LatencyPredictor.load(copied.predictor_file)
    replace(known, device=replace(known.device, runtime="onnxruntime 0.1")).save(copied.predictor_file)
    settings = replace(settings_for(budgets), trials=3, finalists=1)
    result = search_run(copied, settings)
    assert result.measured
    assert result.facts["device"]["runtime"] == "onnxruntime 0.1"
    assert result.facts["measured_on"] == known.device.to_json()
    assert "onnxruntime 0.1" in caplog.text
    with pytest.raises(UserError, match=r"`refine`: .*table\.jsonl is of another device"):
        search_run(copied, replace(settings, refine=1))


def test_an_untrained_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.yaml"):
        RunFolder.open(tmp_path)
    untrained = RunFolder.start(tmp_path / "new", load_config("demo"))
    with pytest.raises(UserError, match="no trained supernet"):
        search_run(untrained, settings_for((1.0,)))


def test_two_threads_and_limits_hold_for_what_is_measured(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "two.jsonl"
    protocol = Protocol(visits=1, warmups=1, runs=3, patience=0)
    space, skeleton = run.config().load_space(), Skeleton.load("coco17")
    measure_space(space, skeleton, samples=8, table=table, threads=2, protocol=protocol)
    predictor = LatencyPredictor.fit(LatencyTable.read(table))
    assert predictor.device.threads == 2
    predictor.save(tmp_path / "predictor.json")

    threads: list[int] = []

    def noting(*args: object, **kwargs: object) -> object:
        threads.append(kwargs["threads"])  # type: ignore[arg-type]
        return time_networks(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr("nas.search.measuring.time_networks", noting)
    tracer = Tracer(space, "coco17")
    cost = predicted_cost(predictor, tracer)
    rng = np.random.default_rng(0)
    archs = [ArchManager(space).sample(rng) for _ in range(30)]
    file_mb = float(np.median([len(to_onnx(tracer(arch)).SerializeToString()) for arch in archs])) / 1e6
    settings = SearchSettings(
        budgets_ms=[max(map(cost, archs))],
        trials=5,
        metric="PCK_torso@0.5",
        finalists=2,
        predictor=tmp_path / "predictor.json",
        limits=Limits(file_mb=file_mb, memory_mb=200.0),
    )
    result = search_run(run, settings)
    assert set(threads) == {2}
    assert result.facts["device"]["threads"] == 2
    assert result.facts["limits"] == {"memory_mb": 200.0, "file_mb": file_mb}
    assert len(result.measured) == 2
    for finalist in result.measured:
        exported = len(to_onnx(tracer(finalist.item.arch)).SerializeToString())
        assert finalist.measured.file_bytes == exported <= 1.02e6 * file_mb
        assert finalist.measured.total_p95_ms is not None
        assert finalist.measured.total_p95_ms >= finalist.measured.median_ms
    with pytest.raises(UserError, match="`file_mb`"):
        search_run(run, replace(settings, limits=Limits(file_mb=0.01)))
