"""Searching in a run folder: from a trained supernet and a latency predictor to measured subnets."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from nas.graph import Tracer
from nas.latency import EndToEnd, LatencyPredictor
from nas.runs.data import open_data
from nas.runs.folder import RunFolder
from nas.search.choosing import choose_subnets
from nas.search.estimate import Estimate
from nas.search.finalist_training import FinalistTraining
from nas.search.judging import KnownAccuracies
from nas.search.loop import ShowProgress
from nas.search.pareto import whole
from nas.search.preparation import Search, load_predictor, prepare
from nas.search.prior import prior_of
from nas.search.record import SearchRecord
from nas.search.refinement import Refinement
from nas.search.results import SearchResult, former_average_pose
from nas.search.rivals import ScoredAlike, choose_trained
from nas.search.scoring import Scoring
from nas.search.session import ScoringSession
from nas.search.settings import Displays, SearchSettings
from nas.search.settling import Judge
from nas.search.storage import reaching
from nas.search.study import choose_scoring, open_record, require_study, storage_of
from nas.search.values import Cost, Scores
from nas.timing import describe_device
from nas.train.helpers import beside

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
            than the run was trained on; another process that writes the run; with several `processes`, what
            they cannot agree on, or what one of them says.
    """
    if settings.processes > 1:
        settings.check_shared("processes")
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
        train: trains them on; None where inherited scores decide.
    """

    search: Search
    record: SearchRecord
    estimate: Estimate
    refinement: Refinement | None
    average_pose: Scores
    scoring: Scoring
    judge: Judge
    train: FinalistTraining | None = None


def score(run: RunFolder, settings: SearchSettings, displays: Displays, *, shared: bool = False) -> Scored:
    """Score as many networks as are wanted; `shared` among workers, whose run folders must be alike."""
    search = prepare(run, settings, displays)
    train = finalist_training(search)
    if not settings.to_score:
        return replace(_known(search), train=train)
    data = open_data(run.config(), search.space, run)
    session = ScoringSession.open(search, data, shared=shared or settings.processes > 1)
    refinement = search.refinement(session.record.name)
    missing = session.record.count(search.budgets) < settings.to_score
    along = partial(_score_along, run, replace(settings, processes=1))
    with beside([along] * (settings.processes - 1) if missing else []):
        estimate = _score(session, refinement, displays)
    return Scored(
        search=search,
        record=session.record,
        estimate=estimate,
        refinement=refinement,
        average_pose=session.average_pose,
        scoring=session.scoring,
        judge=session.judge,
        train=train,
    )


def _score_along(run: RunFolder, settings: SearchSettings) -> None:
    """What further processes of a search do."""
    with reaching(storage_of(run, settings)):
        score(run, settings, Displays(), shared=True)


def finish(scored: Scored) -> SearchResult:
    """Measure the finalists, train them where that is asked for, and write down what was found."""
    place = scored.search.place

    def keep(result: SearchResult) -> None:
        result.save(place.file, place.subnets)

    result = choose(scored, keep=keep)
    keep(result)
    return replace(result, place=place)


def choose(scored: Scored, *, keep: Callable[[SearchResult], object] = lambda _: None) -> SearchResult:
    """Measure the finalists, train them where that is asked for, and say what was found.

    Nothing is written but the weights of what is trained.

    Args:
        scored: the search.
        keep: takes what is found before the trainings.
    """
    search, record = scored.search, scored.record
    # Where no network is scored, what was stopped early stays out.
    history = record.history() if search.settings.to_score else whole(record.history())
    facts = facts_of(scored)
    if scored.train is None:
        return choose_subnets(search, scored.estimate, history, scored.judge, facts)
    parts = ScoredAlike.by_head(history, scored.train)
    return choose_trained(search, scored.estimate, history, parts, scored.judge, facts, keep=keep)


def finalist_training(search: Search) -> FinalistTraining | None:
    """What trains the finalists of a search's run; None where nothing does.

    Raises UserError where the run's recipe of fine-tuning does not go with that.
    """
    settings = search.settings
    if not settings.train_finalists:
        return None
    return FinalistTraining(
        search.run, images=settings.train_finalists, metric=settings.metric, console=search.console
    )


def facts_of(scored: Scored) -> dict[str, Any]:
    """What was searched with, for the result: plain data."""
    search, estimate, refinement = scored.search, scored.estimate, scored.refinement
    settings, predictor = search.settings, estimate.predictor
    refined = refinement is not None and estimate.source != search.base.source
    return {
        "space": search.space.name,
        "skeleton": search.tracer.skeleton.name,
        "study": scored.record.name,
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
        **({"train_finalists": settings.train_finalists} if settings.train_finalists else {}),
        **scored.scoring.facts(),
        "average_pose": dict(scored.average_pose),
    }


def predicted_cost(predictor: LatencyPredictor, tracer: Tracer, *, people: int = 1) -> Cost:
    """Predicted ms with decode and grouping; of a head on person crops, for so many people."""
    return Estimate(predictor, tracer, end_to_end=EndToEnd(people))


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


def _score(session: ScoringSession, refinement: Refinement | None, displays: Displays) -> Estimate:
    """Score networks, refining the predictor in between; the record uses the estimate that is returned."""
    search, record = session.search, session.record
    estimate = refinement.estimate() if refinement else search.base
    prior, trials = prior_of(search, record), search.settings.to_score
    for milestone in refinement.milestones(trials) if refinement else (trials,):
        score_up_to = session.scorer(estimate, prior=prior)
        with displays.scoring() as report:
            history = score_up_to(trials=trials, report=report, until=milestone)
        if refinement:
            estimate = refinement(history, scored=milestone, trials=trials)
    record.use(estimate, predictor=estimate.source, overrun=search.overrun(estimate))
    return estimate
