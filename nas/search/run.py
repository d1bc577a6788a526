"""Searching in a run folder: from a trained supernet and a latency predictor to measured subnets."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nas.graph import Tracer
from nas.latency import EndToEnd, LatencyPredictor
from nas.models import load_weights
from nas.runs.data import RunData, open_data
from nas.runs.folder import RunFolder
from nas.runs.supernet import load_supernet, open_calibration
from nas.search.choosing import choose_subnets
from nas.search.estimate import Estimate
from nas.search.evaluator import SubnetEvaluator, average_pose, require_measured
from nas.search.judging import AccuracyJudge, KnownAccuracies
from nas.search.loop import ShowProgress, score_networks
from nas.search.origin import require_same_origin
from nas.search.pareto import whole
from nas.search.preparation import Search, load_predictor, prepare
from nas.search.prior import prior_of
from nas.search.record import EvaluationCache, SearchRecord
from nas.search.refinement import Refinement
from nas.search.results import SearchResult, former_average_pose
from nas.search.samplers import sampler_named
from nas.search.scoring import Scoring
from nas.search.settings import Displays, SearchSettings
from nas.search.stopping import EarlyStopping
from nas.search.storage import reaching
from nas.search.study import choose_scoring, evaluation_key, open_record, require_study, storage_of
from nas.search.values import Cost, Scores
from nas.timing import describe_device
from nas.train.launch import launch

__all__ = ["Displays", "SearchSettings", "load_predictor", "predicted_cost", "search_run"]


def search_run(
    run: Path | str | RunFolder,
    settings: SearchSettings,
    *,
    progress: ShowProgress | Displays | None = None,
) -> SearchResult:
    """Search the subnets of a trained supernet, going on where a former call was stopped.

    Writes `search/results.json` and `subnets/*.json` into the run folder; for a `device`, beside each other
    into a folder of that device.

    Args:
        run: the folder of the trained supernet.
        settings: budgets and the like.
        progress: a function that is called after every scored network, or displays; None for silence.

    Raises:
        UserError: no supernet; no predictor, or one of another device or skeleton; a budget below the
            cheapest network; an unknown metric; a predictor that cannot be refined; other data
            than the run was trained on; another process that writes the run.
    """
    folder = RunFolder.open(run)
    with folder.alone(), reaching(storage_of(folder, settings)):
        return finish(score(folder, settings, Displays.of(progress)))


@dataclass(frozen=True)
class Scored:
    """A search that has scored its networks, and measured none of them.

    Args:
        search: what was asked for.
        record: of everything scored.
        estimate: of the predictor as it is by now.
        refinement: of that predictor; None where there was none.
        average_pose: what the average pose scores.
        scoring: how networks were scored.
        judge: tells finalists apart.
    """

    search: Search
    record: SearchRecord
    estimate: Estimate
    refinement: Refinement | None
    average_pose: Scores
    scoring: Scoring
    judge: AccuracyJudge | KnownAccuracies


def score(run: RunFolder, settings: SearchSettings, displays: Displays, *, shared: bool = False) -> Scored:
    """Score as many networks as are wanted; `shared` among workers, whose run folders must be alike."""
    search = prepare(run, settings, displays)
    if not settings.to_score:
        return _known(search)
    data = open_data(run.config(), search.space, run)
    average = average_pose(data.split.train(data.sources), data.search)
    require_measured(settings.metric, average)
    of_all = open_evaluator(run, data)
    run.search_folder.mkdir(parents=True, exist_ok=True)
    storage = storage_of(run, settings)
    if shared:
        require_same_origin(run, storage)
    scoring = choose_scoring(run, search.space, settings, storage)
    evaluator = scoring.evaluator(of_all, settings.metric)
    record = open_record(search, scoring, storage)
    refinement = search.refinement(record.name)
    cache = EvaluationCache(run.evaluations_file)
    judge = AccuracyJudge(
        evaluator, scoring.thorough(of_all, settings.metric), cache=cache, metric=settings.metric
    )
    return Scored(
        search=search,
        record=record,
        estimate=_score(search, evaluator, record, cache, refinement, displays),
        refinement=refinement,
        average_pose=average,
        scoring=scoring,
        judge=judge,
    )


def finish(scored: Scored) -> SearchResult:
    """Measure the finalists, and write down what was found."""
    result, place = choose(scored), scored.search.place
    result.save(place.file, place.subnets)
    return replace(result, place=place)


def choose(scored: Scored) -> SearchResult:
    """Measure the finalists, and say what was found; nothing is written."""
    search, record = scored.search, scored.record
    facts = {
        **_facts(search, record, scored.estimate, scored.refinement),
        **scored.scoring.facts(),
        "average_pose": dict(scored.average_pose),
    }
    # Where no network is scored, what was stopped early stays out.
    history = record.history() if search.settings.to_score else whole(record.history())
    return choose_subnets(search, scored.estimate, history, scored.judge, facts)


def predicted_cost(predictor: LatencyPredictor, tracer: Tracer, *, people: int = 1) -> Cost:
    """Predicted ms with decode and grouping; of a head on person crops, for so many people."""
    return Estimate(predictor, tracer, end_to_end=EndToEnd(people))


def open_evaluator(run: RunFolder, data: RunData, *, weights: Path | None = None) -> SubnetEvaluator:
    """Scores networks of a run's supernet, or of other weights, on what the run keeps for the search."""
    config = run.config()
    fabric = launch(accelerator=config.accelerator, precision=config.precision, threads=config.threads)
    calibration = open_calibration(run, data)
    net = load_supernet(run) if weights is None else load_weights(weights)
    return SubnetEvaluator(
        net.to(fabric.device),
        calibration,
        data.search,
        key=evaluation_key(run, weights),
        padding=config.data.padding,
    )


def _known(search: Search) -> Scored:
    """What was scored before, for whatever device and budgets, and nothing else."""
    run, settings = search.run, search.settings
    storage = storage_of(run, settings)
    require_study(run, search.space, settings, storage)
    scoring = choose_scoring(run, search.space, settings, storage)
    record = open_record(search, scoring, storage)
    return Scored(
        search=search,
        record=record,
        estimate=search.base,
        refinement=None,
        average_pose=former_average_pose(run.results_file, study=record.name),
        scoring=scoring,
        judge=KnownAccuracies(),
    )


def _score(
    search: Search,
    evaluator: SubnetEvaluator,
    record: SearchRecord,
    cache: EvaluationCache,
    refinement: Refinement | None,
    displays: Displays,
) -> Estimate:
    """Score networks, refining the predictor in between; the record uses the estimate that is returned."""
    settings = search.settings
    sampler = sampler_named(settings.sampler)
    estimate = refinement.estimate() if refinement else search.base
    prior, trials = prior_of(search, record), settings.to_score
    for milestone in refinement.milestones(trials) if refinement else (trials,):
        overrun = search.overrun(estimate)
        record.use(estimate, predictor=estimate.source, overrun=overrun)
        with displays.scoring() as report:
            history = score_networks(
                sampler(
                    search.space,
                    estimate.many,
                    budgets_ms=search.budgets,
                    seed=settings.seed,
                    overrun=overrun,
                    prior=prior,
                ),
                EarlyStopping(
                    evaluator,
                    metric=settings.metric,
                    history=record.history,
                    cost=estimate,
                    finalists=settings.finalists,
                ),
                record=record,
                cache=cache,
                budgets_ms=search.budgets,
                trials=trials,
                report=report,
                until=milestone,
            )
        if refinement:
            estimate = refinement(history, scored=milestone, trials=trials)
    record.use(estimate, predictor=estimate.source, overrun=search.overrun(estimate))
    return estimate


def _facts(
    search: Search, record: SearchRecord, estimate: Estimate, refinement: Refinement | None
) -> dict[str, Any]:
    settings, predictor = search.settings, estimate.predictor
    refined = refinement is not None and estimate.source != search.base.source
    return {
        "space": search.space.name,
        "skeleton": search.tracer.skeleton.name,
        "study": record.name,
        "metric": settings.metric,
        "budgets_ms": list(search.budgets),
        "limits": dict(settings.limits.by_name),
        "people": settings.people,
        "detector": str(settings.detector) if settings.detector else None,
        "detector_ms": search.base.end_to_end.detector_ms,
        "seed": settings.seed,
        "predictor": str(search.predictor_file),
        "predictor_digest": search.base.source,
        "refined_predictor": str(search.run.search_folder / f"predictor-{estimate.source}.json")
        if refined
        else None,
        "refined_predictor_digest": estimate.source if refined else None,
        "refinement": refinement.to_json() if refinement else [],
        "device": predictor.device.to_json(),
        "measured_on": None
        if search.bench is None
        else describe_device(threads=predictor.device.threads).to_json(),
        "protocol": predictor.protocol.to_json(),
        **({"prior": str(settings.prior)} if settings.prior else {}),
    }
