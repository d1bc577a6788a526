"""Picks the architectures that are compared, each with how it was found; goes on where it was stopped.

All baselines are scored with the weights that they inherit from the same supernet, on the same images, and
take scores from the run's own cache; no study is shared with the search, so none learns from another. What is
chosen between is measured as finalists of a search are, where the predictor is of this machine and nobody
says that it is too busy for that.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.flagship.rows import HAND_MADE, SCALED, SEARCHED, Comparison
from benchmarks.flagship.scaling import ladder, largest_within
from benchmarks.flagship.workplace import Workplace
from nas.arrays import Floats
from nas.documents import read_json
from nas.errors import UserError
from nas.files import is_file
from nas.graph import Tracer
from nas.runs import open_data
from nas.search.drift import References
from nas.search.loop import SearchProgress, score_networks
from nas.search.pareto import within
from nas.search.preparation import Search, prepare
from nas.search.run import Scored, choose, finalist_training, score
from nas.search.samplers.evolution import LitePoseEvolution
from nas.search.session import ScoringSession
from nas.search.settings import Displays, SearchSettings
from nas.search.side_by_side import FinalistTimer
from nas.search.storage import reaching, sqlite_url
from nas.search.values import Evaluation
from nas.space import Arch, ArchManager, SearchSpace

SHUFFLENET = Path(__file__).with_name("shufflenet.yaml")

DRAWN = 6000
"""Networks whose MACs and predicted milliseconds say what a limit of MACs stands for a budget."""
NEAR = 0.03
_FEWEST_NEAR = 10

Found = tuple[Arch, dict[str, Any]]
"""An architecture, and how it was found."""


def pick_all(place: Workplace, asked: Comparison | None, settings: SearchSettings) -> None:
    """Pick what is not picked yet; what cannot be picked within a budget does not keep others from it.

    Args:
        place: of the comparison; its run has been searched.
        asked: what is compared; None for what was before.
        settings: metric, seed and predictor; its budgets are not looked at. `trials` are of each baseline at
            each budget, None for as many as the search scored for all of them.

    Raises:
        UserError: what could not be picked, and why: the run was not searched at a budget, say.
    """
    if not is_file(place.run.results_file):
        raise UserError(f"{place.run.path}: has not been searched yet; search it at the budgets first")
    trials = settings.trials or read_json(place.run.results_file)["scored"]
    comparison, failed = place.begin(asked), list[str]()
    with place.run.alone():
        for pick, budget in comparison.picks:
            if place.picked(pick, budget) is not None:
                continue
            print(f"{pick} at {budget:g} ms", flush=True)
            own = replace(
                settings,
                budgets_ms=(budget,),
                trials=trials,
                early_stopping=False,
                storage=sqlite_url(place.study_file(pick, budget)),
            )
            place.study_file(pick, budget).parent.mkdir(parents=True, exist_ok=True)
            try:
                with reaching(own.storage or ""):
                    arch, found = PICKERS[pick](place, own)
            except UserError as error:
                failed.append(f"{pick} at {budget:g} ms: {error}")
                print(f"  {error}", flush=True)
                continue
            common = {"pick": pick, "budget_ms": budget, "metric": settings.metric, "date": str(date.today())}
            place.keep(pick, budget, arch, {**common, **found})
    if failed:
        raise UserError("; ".join(failed))


def median_near(ms: Floats, macs: Floats, budget_ms: float) -> tuple[float, int]:
    """The median MACs of the networks that take a budget, give or take 3 %, and how many they are.

    Args:
        ms: [N] milliseconds of networks.
        macs: [N] their MACs.
        budget_ms: the budget.

    Raises:
        UserError: they are too few to tell.
    """
    near = np.abs(ms / budget_ms - 1) <= NEAR
    if near.sum() < _FEWEST_NEAR:
        raise UserError(f"{near.sum()} of {len(ms)} networks drawn take about {budget_ms:g} ms; draw more")
    return float(np.median(macs[near])), int(near.sum())


def _searched(place: Workplace, settings: SearchSettings) -> Found:
    """What the run's search found."""
    result, (budget,) = read_json(place.run.results_file), settings.budgets_ms
    for subnet in result["subnets"]:
        if subnet["budget_ms"] == budget:
            arch = Arch.load(place.run.subnets_folder / f"{subnet['name']}.json")
            return arch, {**subnet, "evaluations": result["scored"]}
    raise UserError(
        f"{place.run.results_file}: names no subnet for {budget:g} ms; search at that budget first"
    )


def _random(place: Workplace, settings: SearchSettings) -> Found:
    """The best of random networks within the budget."""
    settings = replace(settings, sampler="random", each_head=False)
    return _chosen(score(place.run, settings, Displays.of(_tell)))


def _macs(place: Workplace, settings: SearchSettings) -> Found:
    """LitePose's evolution under a limit of MACs: those of the median network that takes the budget.

    It never sees a millisecond. If what it ends with is over the budget, the best of all that it scored
    within the budget is taken.
    """
    session, (budget,) = _opened(place, settings), settings.budgets_ms
    search, record, space = session.search, session.record, session.search.space

    def mmacs(archs: Sequence[Arch]) -> Floats:
        return np.array([search.tracer(arch).macs / 1e6 for arch in archs], np.float64)

    rng, manager = np.random.default_rng(settings.seed), ArchManager(space)
    drawn = [manager.sample(rng) for _ in range(DRAWN)]
    limit, near = median_near(search.base.many(drawn), mmacs(drawn), budget)
    record.use(lambda arch: float(mmacs([arch])[0]), predictor="")
    history = score_networks(
        LitePoseEvolution(space, mmacs, budgets_ms=(limit,), seed=settings.seed),
        session.evaluator,
        record=record,
        cache=session.cache,
        budgets_ms=(limit,),
        trials=settings.to_score,
        report=_tell,
    )
    winner = within(history, limit)[0]
    record.use(search.base, predictor=search.base.source)
    arch, found = _chosen(
        Scored(
            search,
            record,
            search.base,
            None,
            session.average_pose,
            session.scoring,
            session.judge,
            finalist_training(search),
        )
    )
    facts = {
        "limit_mmac": limit,
        "networks_near_budget": near,
        "winner": {
            "arch": winner.arch.to_json(),
            "accuracy": winner.accuracy,
            "mmac": winner.predicted_ms,  # what the study takes for its cost
            "predicted_ms": search.base(winner.arch),
        },
    }
    return arch, {**found, **facts}


def _scaled(place: Workplace, settings: SearchSettings) -> Found:
    """The largest scaled network that keeps the budget; of those of several heads the most accurate.

    What is accurate is decided as in a search, by training where that is asked for.
    """
    session, (budget,) = _opened(place, settings), settings.budgets_ms
    search, space = session.search, session.search.space
    train, tried = finalist_training(search), list[tuple[Evaluation, float]]()
    for head, choices in space.spec.heads.items():
        for neck in choices.necks:
            rungs = ladder(space, head=head, neck=neck)
            top = largest_within(rungs, _milliseconds(search, space, rungs), budget)
            if top is not None:
                arch, ms = top
                unscored = Evaluation(arch, search.base(arch), float("nan"))
                tried.append((session.judge.closer(unscored), ms))
    if not tried:
        raise UserError(f"no scaled network of {space.name} keeps {budget:g} ms")
    found: dict[str, Any] = {"evaluations": len(tried)}
    best, ms = max(tried, key=lambda each: each[0].accuracy)
    if train is not None and len(tried) > 1:
        trained = {item.arch: item.accuracy for item in train([item for item, _ in tried])}
        best, ms = max(tried, key=lambda each: trained[each[0].arch])
        found["trained"] = [
            {"arch": arch.id, "head": arch.head.type, "accuracy": accuracy}
            for arch, accuracy in trained.items()
        ]
    times = {"predicted_ms": best.predicted_ms, **_told(search, ms)}
    return best.arch, {**times, "accuracy": best.accuracy, **found}


def _hand_made(place: Workplace, settings: SearchSettings) -> Found:
    """The largest of a published shape that keeps the budget; there is no supernet to score it with."""
    search, space = prepare(place.run, settings, Displays()), SearchSpace.load(SHUFFLENET)
    (budget,) = settings.budgets_ms
    rungs = ladder(space, head="simcc", neck="none")
    top = largest_within(rungs, _milliseconds(search, space, rungs), budget)
    if top is None:
        raise UserError(f"no network of {SHUFFLENET.name} keeps {budget:g} ms")
    arch, ms = top
    return arch, {**_told(search, ms), "evaluations": 0}


PICKERS: dict[str, Callable[[Workplace, SearchSettings], Found]] = {
    SEARCHED: _searched,
    SCALED: _scaled,
    "macs": _macs,
    "random": _random,
    HAND_MADE: _hand_made,
}


def _opened(place: Workplace, settings: SearchSettings) -> ScoringSession:
    """The run's networks are scored with inherited weights as in a search, but all of them on everybody."""
    search = prepare(place.run, settings, Displays())
    return ScoringSession.open(search, open_data(place.run.config(), search.space, place.run))


def _chosen(scored_networks: Scored) -> Found:
    """The winner, chosen as a search does: measured within the budget, for another machine predicted."""
    result = choose(scored_networks)
    if not result.subnets:
        raise UserError(
            f"none of {len(result.history)} networks was measured within {result.unmet_ms[0]:g} ms"
        )
    (subnet,) = result.subnets
    return subnet.arch, {**subnet.figures(), "evaluations": len(result.history)}


def _milliseconds(search: Search, space: SearchSpace, archs: Sequence[Arch]) -> list[float]:
    """What networks of a space take, measured here as finalists are; predicted for another machine."""
    tracer = Tracer(space, search.tracer.skeleton)
    if search.bench is None:
        pays = search.base.end_to_end
        return search.base.predictor.total_ms(archs, people=pays.people, tracer=tracer).tolist()
    timer = FinalistTimer(
        replace(search.bench, space=space, tracer=tracer),
        References(search.table, search.base.predictor, search.bench),
        pays=search.base.end_to_end,
    )
    measured = timer(archs)
    return [measured[arch.id].ms for arch in archs]


def _told(search: Search, ms: float) -> dict[str, float]:
    """What `_milliseconds` says of a network, by what it is."""
    return {"measured_ms" if search.bench else "predicted_ms": ms}


def _tell(progress: SearchProgress) -> None:
    if progress.done % 20 == 0 or progress.done == progress.total:
        print(f"  {progress.done} of {progress.total} networks scored", flush=True)
