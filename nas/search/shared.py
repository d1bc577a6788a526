"""A search that several processes share, on one machine or many: each scores, one of them finishes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.errors import UserError
from nas.runs.folder import RunFolder
from nas.search.claims import LIVE, Claims, worker_of
from nas.search.loop import ShowProgress
from nas.search.results import SearchResult
from nas.search.run import Scored, finish, score
from nas.search.settings import Displays, SearchSettings
from nas.search.storage import open_storage, reaching
from nas.search.worker import Worker


@dataclass(frozen=True)
class LeftToOthers:
    """What a worker has to tell that does not finish the search.

    Args:
        scored: networks that all of them have scored.
        by: who measures the finalists; None where nobody does yet, since nothing can be measured here.
        folder: that process's run folder.
        done: whether they are measured.
    """

    scored: int
    by: Worker | None = None
    folder: str = ""
    done: bool = False


def search_worker(
    run: Path | str | RunFolder,
    settings: SearchSettings,
    *,
    progress: ShowProgress | Displays | None = None,
) -> SearchResult | LeftToOthers:
    """Score networks of a search that other processes may score for at the same time.

    All are given the same settings, and the run folder or a copy of it. Whoever is first when enough networks
    are scored measures the finalists, and writes what `search_run` writes into its run folder.

    Raises:
        UserError: as `search_run`, but that others may be in the run folder; no `storage`; something that has
            to be measured in between; a copy of the run folder with other weights.
    """
    if settings.storage is None:
        raise UserError(
            "`worker` needs a `storage` that all workers reach, such as "
            "postgresql+psycopg://USER@HOST/DATABASE"
        )
    settings.check_shared("worker")
    if not settings.to_score:
        raise UserError("`worker` scores networks, and for another `device` none is unless `trials` say so")
    folder = RunFolder.open(run)
    with reaching(settings.storage):
        scored = score(folder, settings, Displays.of(progress), shared=True)
        return _finish_once(scored, settings.storage)


def _finish_once(scored: Scored, storage: str) -> SearchResult | LeftToOthers:
    """Finish a search where nobody else does."""
    search, record = scored.search, scored.record
    count = record.count(search.budgets)
    if search.bench is None:
        return LeftToOthers(count)
    finals: dict[str, Any] = {
        "budgets_ms": list(search.budgets),
        "limits": dict(search.settings.limits.by_name),
        "finalists": search.settings.finalists,
        "people": search.settings.people,
        "detector_ms": search.settings.detector_ms,
        "scored": count,
        "predictor": search.base.source,
        **({"device": search.device} if search.device else {}),
        **({"train_finalists": images} if (images := search.settings.train_finalists) else {}),
    }
    claims = Claims(open_storage(storage), f"{record.name}, finals", directions=["maximize"])
    claims.fail_dead()
    number = claims.take({"finals": finals, "folder": str(search.run.path.resolve())})
    first = next(trial for trial in claims.trials(*LIVE) if trial.user_attrs.get("finals") == finals)
    if first.number != number:
        claims.give_back(number)
        done = first.state.is_finished()
        return LeftToOthers(count, worker_of(first), first.user_attrs["folder"], done)
    with claims.held(number), search.run.alone():
        result = finish(scored)
        claims.end(number, [len(result.measured)])
    return result
