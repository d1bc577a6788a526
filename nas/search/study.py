"""The study that a search's networks lie in: which one, in which database, scored in which way."""

import re
from pathlib import Path

from nas.digests import digest_files
from nas.errors import UserError
from nas.runs.folder import RunFolder
from nas.search.origin import origin
from nas.search.preparation import Search
from nas.search.record import SearchRecord, study_name
from nas.search.scoring import Scoring
from nas.search.settings import SearchSettings
from nas.search.storage import open_storage, shown, sqlite_url
from nas.space import SearchSpace


def storage_of(run: RunFolder, settings: SearchSettings) -> str:
    """The URL of the database that a search's study lies in: one in the run folder where none is given."""
    return settings.storage or sqlite_url(run.study_file)


def evaluation_key(run: RunFolder, weights: Path | None = None) -> str:
    """What scores of a run's supernet, or of other weights in it, depend on, as a digest."""
    return digest_files(weights or run.weights_file, run.search_split_file, run.calibration_file)


def choose_scoring(run: RunFolder, space: SearchSpace, settings: SearchSettings, storage: str) -> Scoring:
    """How networks are scored: as asked for, as they were before, or as they are in a new search."""
    return Scoring.chosen(
        evaluation_key(run),
        studies={study.study_name for study in open_storage(storage).get_all_studies()},
        name=lambda key: study_name(space, metric=settings.metric, key=_study_key(key, settings)),
        calibration_images=settings.calibration_images,
        early_stopping=settings.early_stopping,
    )


def open_record(search: Search, scoring: Scoring, storage: str) -> SearchRecord:
    """What the study of a search holds."""
    return SearchRecord(
        search.space,
        storage=storage,
        key=_study_key(scoring.key(evaluation_key(search.run)), search.settings),
        metric=search.settings.metric,
        cost=search.base,
        predictor=search.base.source,
        overrun=search.overrun(search.base),
        limits=search.settings.limits.by_name,
        # Where nothing is scored, nothing is written.
        origin=origin(search.run) if search.settings.to_score else None,
        device=search.device,
    )


def require_study(run: RunFolder, space: SearchSpace, settings: SearchSettings, storage: str) -> str:
    """The name of the study that a run was searched in. Raises UserError where there is none."""
    if storage == sqlite_url(run.study_file) and not run.study_file.is_file():
        raise UserError(f"{run.path}: no network of it has been scored; search in it first")
    scoring = choose_scoring(run, space, settings, storage)
    key = scoring.key(evaluation_key(run))
    name = study_name(space, metric=settings.metric, key=_study_key(key, settings))
    names = {study.study_name for study in open_storage(storage).get_all_studies()}
    if name in names:
        return name
    pattern = re.compile(f"{re.escape(space.name)} (\\S+) {evaluation_key(run)}.*")
    others = sorted({match[1] for other in names if (match := pattern.fullmatch(other))} - {settings.metric})
    heads = f" with `heads` {', '.join(settings.heads)}" if settings.heads else ""
    hint = f"by {', '.join(others)} some are: choose such a `metric`" if others else "search in it first"
    raise UserError(
        f"{run.path}: no network of it is scored by {settings.metric}{heads} in {shown(storage)}; {hint}"
    )


def _study_key(key: str, settings: SearchSettings) -> str:
    return " ".join([key, *sorted(settings.heads)])
