"""Searching in a run folder: from a trained supernet and a latency predictor to measured subnets."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from nas.errors import UserError
from nas.graph import Tracer
from nas.latency import LatencyPredictor, Timing, arch_network, describe_device, time_networks
from nas.latency import Progress as TimingProgress
from nas.search.budgets import check_budgets
from nas.search.evaluator import SubnetEvaluator, digest_files
from nas.search.finalists import Measured, run_finals
from nas.search.loop import Report, score_networks
from nas.search.pareto import within
from nas.search.proposal import Proposer
from nas.search.record import EvaluationCache, SearchRecord
from nas.search.results import SearchResult, Subnet
from nas.search.values import Cost, Evaluated
from nas.space import Arch, SearchSpace, Skeleton, head_spec
from nas.train.datasets import open_data
from nas.train.launch import launch
from nas.train.run_folder import RunFolder
from nas.train.supernet import load_supernet, open_calibration


@dataclass(frozen=True)
class SearchSettings:
    """What to search for.

    Args:
        budgets_ms: hard limits, decode and grouping included.
        trials: networks to score for these budgets.
        metric: the score that is searched for, such as AP or PCK_torso@0.2.
        people: expected per image; a head on person crops runs once for each.
        finalists: networks per budget that are measured.
        seed: of all random choices.
        predictor: None for the run folder's own.
        allow_other_device: search with a predictor of another device; nothing is measured then.
        storage: an Optuna storage URL; None for sqlite in the run folder.
    """

    budgets_ms: Sequence[float]
    trials: int = 200
    metric: str = "AP"
    people: int = 1
    finalists: int = 3
    seed: int = 0
    predictor: Path | None = None
    allow_other_device: bool = False
    storage: str | None = None


@dataclass(frozen=True)
class Displays:
    """How a search tells what it does; each is entered for as long as that lasts.

    Args:
        scoring: told after every scored network.
        timing: told how measuring finalists goes.
    """

    scoring: Callable[[], AbstractContextManager[Report]] = lambda: nullcontext(lambda _: None)
    timing: Callable[[], AbstractContextManager[TimingProgress | None]] = nullcontext


@dataclass(frozen=True)
class _Search:
    """What the steps of a search share."""

    run: RunFolder
    settings: SearchSettings
    space: SearchSpace
    predictor: LatencyPredictor
    tracer: Tracer
    cost: Cost
    budgets: tuple[float, ...]


def search_run(
    run: RunFolder,
    settings: SearchSettings,
    *,
    displays: Displays | None = None,
) -> SearchResult:
    """Search the subnets of a trained supernet, going on where a former call was stopped.

    Writes `search/results.json` and `subnets/*.json` into the run folder.

    Args:
        run: the folder of the trained supernet.
        settings: budgets and the like.
        displays: how progress is told.

    Raises:
        UserError: no supernet; no predictor, or one of another device or skeleton; a budget below the
            cheapest network; an unknown metric.
    """
    search = _prepare(run, settings)
    evaluator = _open_evaluator(search)
    run.search_folder.mkdir(parents=True, exist_ok=True)
    record = SearchRecord(
        search.space,
        storage=settings.storage or f"sqlite:///{run.search_folder / 'study.db'}",
        key=evaluator.key,
        metric=settings.metric,
        cost=search.cost,
    )
    displays = displays or Displays()
    with displays.scoring() as report:
        history = score_networks(
            Proposer(search.space, search.cost, budgets_ms=search.budgets, seed=settings.seed),
            evaluator,
            record=record,
            cache=EvaluationCache(run.search_folder / "evaluations.jsonl"),
            budgets_ms=search.budgets,
            trials=settings.trials,
            report=report,
        )
    result = _choose(search, history, _facts(search, record), displays)
    result.save(run.search_folder / "results.json", run.subnets_folder)
    return result


def load_predictor(path: Path, skeleton: Skeleton, *, allow_other_device: bool = False) -> LatencyPredictor:
    """A predictor for networks of this skeleton.

    Raises:
        UserError: there is none, it is of another device (unless allowed), or its networks have other joints.
    """
    if not path.is_file():
        raise UserError(
            f"{path}: no latency predictor; make one with `nas latency measure --space RUN` and "
            f"`nas latency fit`, or give --predictor"
        )
    predictor = LatencyPredictor.load(path, allow_other_device=allow_other_device)
    if len(predictor.skeleton.keypoints) != len(skeleton.keypoints):
        raise UserError(
            f"{path}: predicts networks of {len(predictor.skeleton.keypoints)} joints "
            f"({predictor.skeleton.name}), the run's have {len(skeleton.keypoints)} ({skeleton.name}); "
            f"measure with --skeleton {skeleton.name}"
        )
    return predictor


def predicted_cost(predictor: LatencyPredictor, tracer: Tracer, *, people: int = 1) -> Cost:
    """Predicted ms with decode and grouping; of a head on person crops, for so many people."""

    @cache
    def cost(arch: Arch) -> float:
        return float(predictor.total_ms([arch], people=people, tracer=tracer)[0])

    return cost


def _prepare(run: RunFolder, settings: SearchSettings) -> _Search:
    config = run.config()
    run.require_weights()
    skeleton, space = Skeleton.load(config.skeleton), config.load_space()
    predictor = load_predictor(
        settings.predictor or run.predictor_file, skeleton, allow_other_device=settings.allow_other_device
    )
    tracer = Tracer(space, skeleton)
    cost = predicted_cost(predictor, tracer, people=settings.people)
    budgets = check_budgets(settings.budgets_ms, space, cost)
    return _Search(run, settings, space, predictor, tracer, cost, budgets)


def _open_evaluator(search: _Search) -> SubnetEvaluator:
    run, config = search.run, search.run.config()
    fabric = launch(accelerator=config.accelerator, precision=config.precision, threads=config.threads)
    data = open_data(config, search.space, run)
    calibration = open_calibration(run, data)
    return SubnetEvaluator(
        load_supernet(run).to(fabric.device),
        calibration,
        data.search,
        key=digest_files(run.weights_file, run.search_split_file, run.calibration_file),
        padding=config.data.padding,
    )


def _choose(
    search: _Search, history: Sequence[Evaluated], facts: Mapping[str, Any], displays: Displays
) -> SearchResult:
    """Measure finalists and pick the winner of each budget; by prediction alone for another device."""
    device = search.predictor.device
    if describe_device(threads=device.threads).fingerprint != device.fingerprint:
        tops = [(budget, within(history, budget)[:1]) for budget in search.budgets]
        subnets = tuple(Subnet(budget, top[0], None) for budget, top in tops if top)
        return SearchResult(subnets, (), (), tuple(history), facts)

    def measure(archs: Sequence[Arch]) -> dict[str, Measured]:
        networks = [arch_network(arch, search.tracer) for arch in archs]
        with displays.timing() as progress:
            timings = time_networks(
                networks,
                threads=device.threads,
                seed=search.settings.seed,
                protocol=search.predictor.protocol,
                progress=progress,
            )
        people = search.settings.people
        return {arch.id: _measured(arch, found, people) for arch, found in zip(archs, timings, strict=True)}

    finals = run_finals(history, search.budgets, measure, per_budget=search.settings.finalists)
    won = [(budget, finals.winners[budget]) for budget in search.budgets]
    return SearchResult(
        subnets=tuple(Subnet(budget, top.item, top.measured) for budget, top in won if top is not None),
        unmet_ms=tuple(budget for budget, top in won if top is None),
        measured=finals.measured,
        history=tuple(history),
        facts=facts,
    )


def _measured(arch: Arch, timing: Timing, people: int) -> Measured:
    times = people if head_spec(arch.head.type).task == "crop" else 1
    return Measured(
        ms=times * (timing.measured_ms + timing.outside_ms),
        median_ms=timing.median_ms,
        p95_ms=timing.p95_ms,
        loaded=timing.loaded,
    )


def _facts(search: _Search, record: SearchRecord) -> dict[str, Any]:
    settings, predictor = search.settings, search.predictor
    return {
        "space": search.space.name,
        "skeleton": search.tracer.skeleton.name,
        "study": record.name,
        "metric": settings.metric,
        "budgets_ms": list(search.budgets),
        "people": settings.people,
        "seed": settings.seed,
        "predictor": str(settings.predictor or search.run.predictor_file),
        "device": predictor.device.to_json(),
        "protocol": predictor.protocol.to_json(),
    }
