"""Searching several runs as one: the same budgets, one number of networks, and the best of all of them."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from nas.errors import UserError
from nas.latency.samples import TracerOfSpaces
from nas.runs.data import open_data
from nas.runs.folder import RunFolder
from nas.search.agreement import require_alike, require_same_people
from nas.search.budgets import check_budgets
from nas.search.choosing import choose_subnets
from nas.search.estimate import Estimate
from nas.search.finalist_training import FinalistTraining
from nas.search.judging import JointJudge
from nas.search.loop import SearchProgress, ShowProgress
from nas.search.pareto import best_accuracies
from nas.search.preparation import Search, prepare
from nas.search.results import SearchResult
from nas.search.rivals import ScoredAlike, choose_trained
from nas.search.run import Scored, facts_of, finalist_training, search_run
from nas.search.session import ScoringSession
from nas.search.settings import Displays, SearchSettings
from nas.search.storage import reaching
from nas.search.study import storage_of
from nas.search.turns import Standing, best_of_all, next_turn
from nas.search.values import Evaluation
from nas.space import Arch


def search_together(
    run: Path | str | RunFolder,
    settings: SearchSettings,
    *,
    also: Sequence[Path | str | RunFolder],
    progress: ShowProgress | Displays | None = None,
) -> SearchResult:
    """Search the subnets of several trained supernets for the same budgets, going on where it was stopped.

    Every run keeps a study of its own, that of `search_run`: what was scored there counts here, and the other
    way round. `next_turn` says which run scores the next network. Finalists are the best of all, measured
    side by side; what `search_run` writes is written into the folder of `run`, and every network in it says
    which run it is of.

    Args:
        run: the folder of a trained supernet, whose predictor serves all where none is given.
        settings: budgets and the like; `trials` of all runs together.
        also: further runs, of the same task, skeleton, and people kept for the search.
        progress: a function that is called after every scored network, or displays; None for silence.

    Raises:
        UserError: as `search_run`; runs that cannot be compared; what is of one run alone: `device`,
            `refine`, `prior`, `processes`.
    """
    runs = [RunFolder.open(each) for each in (run, *also)]
    if len(runs) == 1:
        return search_run(runs[0], settings, progress=progress)
    _check(runs, settings)
    require_alike(runs)
    with ExitStack() as held:
        for each in sorted(runs, key=lambda each: str(each.path.resolve())):
            held.enter_context(each.alone())
        for url in dict.fromkeys(storage_of(each, settings) for each in runs):
            held.enter_context(reaching(url))
        displays = Displays.of(progress)
        searches = _prepared(runs, settings, displays)
        joint = _joint(searches, settings)
        trainings = [finalist_training(search) for search in searches]
        sessions = _opened(searches)
        _score(sessions, settings.to_score, displays)
        return _finish(joint, sessions, trainings)


def _check(runs: Sequence[RunFolder], settings: SearchSettings) -> None:
    """Raises UserError for what is of one run alone."""
    if settings.device is not None:
        raise UserError("`device` goes by what one run has scored: search each run for it, without `also`")
    if settings.refine:
        raise UserError(
            "`refine` refits the predictor of one run, and here one serves all: leave it out, or `also`"
        )
    if settings.prior is not None:
        raise UserError(
            "`prior` is of one space: search that run with it first, without `also`; what is scored then "
            "counts here"
        )
    if settings.processes > 1:
        raise UserError("`processes` share the search of one run: leave them out, or `also`")
    if settings.to_score < len(runs):
        raise UserError(f"`trials` {settings.to_score}: {len(runs)} runs need a network each at least")


def _prepared(runs: Sequence[RunFolder], settings: SearchSettings, displays: Displays) -> list[Search]:
    """The search of each run; the predictor, and what a detector takes, are those of the first."""
    mine, *theirs = _by_heads(runs, settings)
    first = prepare(runs[0], mine, displays, together=True)
    searches = [first]
    for run, own in zip(runs[1:], theirs, strict=True):
        shared = replace(
            own,
            predictor=first.predictor_file,
            detector=None,
            detector_ms=first.base.end_to_end.detector_ms,
        )
        searches.append(prepare(run, shared, displays, together=True))
    return searches


def _by_heads(runs: Sequence[RunFolder], settings: SearchSettings) -> list[SearchSettings]:
    """The settings of each run: a head is looked at where a space has it.

    Where those are all heads of a space, it is searched as if none were named, in the study of such searches.
    """
    if not settings.heads:
        return [settings] * len(runs)
    of_runs = []
    for run in runs:
        known = run.config().load_space().heads
        mine = [head for head in settings.heads if head in known]
        if not mine:
            raise UserError(
                f"`heads` {', '.join(settings.heads)}: {run.path} has none of them, only {', '.join(known)}; "
                "leave that run out"
            )
        of_runs.append((mine, known))
    if lost := set(settings.heads) - {head for _, known in of_runs for head in known}:
        raise UserError(f"`heads` {', '.join(sorted(lost))}: none of the runs has such a head")
    return [replace(settings, heads=() if set(mine) == set(known) else mine) for mine, known in of_runs]


def _joint(searches: Sequence[Search], settings: SearchSettings) -> Search:
    """The search of the first run, for networks of all of them.

    Raises UserError where a budget is below what the cheapest network of all costs.
    """
    first, frugal = searches[0], max(searches, key=lambda search: len(search.budgets))
    budgets = check_budgets(settings.budgets_ms, frugal.space, frugal.base)
    spaces, skeleton = [search.space.to_json() for search in searches], first.tracer.skeleton
    base, bench = first.base, first.bench
    return replace(
        first,
        budgets=budgets,
        base=Estimate(
            base.predictor,
            TracerOfSpaces(spaces, skeleton, anonymous=True),
            end_to_end=base.end_to_end,
            source=base.source,
        ),
        bench=None if bench is None else replace(bench, tracer=TracerOfSpaces(spaces, skeleton)),
    )


def _opened(searches: Sequence[Search]) -> list[ScoringSession]:
    """What each run's networks are scored with. Raises UserError where those scores could not be compared."""
    runs = [search.run for search in searches]
    data = [open_data(search.run.config(), search.space, search.run) for search in searches]
    require_same_people(runs, data)
    sessions = [ScoringSession.open(search, of_run) for search, of_run in zip(searches, data, strict=True)]
    images = [session.scoring.calibration_images or "all" for session in sessions]
    for run, theirs in zip(runs, images, strict=True):
        if theirs != images[0]:
            raise UserError(
                f"`calibration_images`: {runs[0].path} was searched with {images[0]}, {run.path} with "
                f"{theirs}, and accuracies do not quite compare; give a number for both"
            )
    return sessions


def _score(sessions: Sequence[ScoringSession], trials: int, displays: Displays) -> None:
    """Score networks in turns until there are so many, of all runs together."""
    scorers = [session.scorer(session.search.base) for session in sessions]
    standings = [_standing(session) for session in sessions]

    def progress(latest: Evaluation | None = None) -> SearchProgress:
        done = sum(each.scored for each in standings)
        return SearchProgress(done, max(done, trials), best_of_all(standings), latest)

    with displays.scoring() as report:
        report(progress())
        while (turn := next_turn(standings, trials)) is not None:
            before, told = standings[turn].scored, list[SearchProgress]()
            scorers[turn](trials=before + 1, report=told.append)
            now = _standing(sessions[turn])
            standings[turn] = replace(now, exhausted=now.scored == before)
            if latest := told[-1].latest:
                report(progress(latest))


def _standing(session: ScoringSession) -> Standing:
    record, budgets = session.record, session.search.budgets
    return Standing(record.count(budgets), best_accuracies(record.history(), budgets))


def _finish(
    search: Search, sessions: Sequence[ScoringSession], trainings: Sequence[FinalistTraining | None]
) -> SearchResult:
    """Measure the finalists, and write down what was found: all of it in the folder of the first run."""
    first, owned = sessions[0], _united(sessions)
    scored = Scored(
        search=search,
        record=first.record,
        estimate=search.base,
        refinement=None,
        average_pose=first.average_pose,
        scoring=first.scoring,
        judge=JointJudge({arch: sessions[place].judge for arch, (_, place) in owned.items()}),
    )
    ways = [search.run.way_to(session.search.run) for session in sessions]
    facts = {
        **facts_of(scored),
        "space": ", ".join(dict.fromkeys(session.search.space.name for session in sessions)),
        "runs": [
            {
                "run": way,
                "space": session.search.space.name,
                "study": session.record.name,
                "scored": len(session.record.history()),
            }
            for way, session in zip(ways, sessions, strict=True)
        ],
    }
    runs = {arch.id: ways[place] for arch, (_, place) in owned.items()}

    def keep(result: SearchResult) -> SearchResult:
        result = result.of_runs(runs)
        result.save(search.place.file, search.place.subnets)
        return replace(result, place=search.place)

    history = [item for item, _ in owned.values()]
    parts = [
        part
        for place, train in enumerate(trainings)
        if train is not None
        for part in ScoredAlike.by_head([item for item, owner in owned.values() if owner == place], train)
    ]
    if not parts:
        return keep(choose_subnets(search, search.base, history, scored.judge, facts))
    return keep(choose_trained(search, search.base, history, parts, scored.judge, facts, keep=keep))


def _united(sessions: Sequence[ScoringSession]) -> dict[Arch, tuple[Evaluation, int]]:
    """Everything scored, and by the weights of which run; an architecture of several counts where it is best.

    What was scored to the end goes before what was stopped early.
    """
    best: dict[Arch, tuple[Evaluation, int]] = {}
    for place, session in enumerate(sessions):
        for item in session.record.history():
            known = best.get(item.arch)
            if known is None or _rank(item) > _rank(known[0]):
                best[item.arch] = item, place
    return best


def _rank(item: Evaluation) -> tuple[bool, float]:
    return item.stopped_at is None, item.accuracy
