"""The step that measures this machine: timings, a predictor fitted on them, budgets that make sense."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import count
from pathlib import Path
from typing import Any

from nas.digests import digest_files
from nas.files import read_rows
from nas.latency import LatencyPredictor, measure_space
from nas.latency.boosting import can_boost
from nas.search.budgets import cheapest, check_budgets
from nas.search.run import predicted_cost
from nas.space import ArchManager
from nas.timing import LatencyTable, Protocol, describe_device
from nas.timing.table import Source
from nas.workflow.steps import WorkflowStep
from nas.workflow.way import Way

_SHARES = (0.5, 0.9)
"""Where budgets that nobody names lie between the cheapest and the most expensive network, in logarithms."""

_NAME = "timing"


def timing_step(way: Way) -> WorkflowStep:
    """Networks of the space are timed, and a predictor is fitted, unless the run was given one."""
    return WorkflowStep(
        _NAME,
        "Measure times, fit the predictor",
        (
            f"{way.config.workflow.timed} networks of the search space are timed in onnxruntime on one core;",
            "from their operators follows the time of any other.",
        ),
        inputs=partial(_inputs, way),
        made=lambda: [way.run.predictor_file],
        work=partial(_measure, way),
        found=partial(_found, way),
    )


def budgets(way: Way) -> tuple[float, ...]:
    """Those asked for, else the recipe's, else two that mean something on any machine.

    Raises:
        UserError: one is below what the cheapest network costs.
    """
    return _offer(way, predictor_digest(way)).budgets


def predictor_digest(way: Way) -> str:
    """Changes with the predictor."""
    return digest_files(way.run.predictor_file)


def _inputs(way: Way) -> dict[str, Any]:
    settings = way.config.workflow
    return {
        "space": way.space.to_json(),
        "skeleton": way.skeleton.to_json(),
        "timed": settings.timed,
        "visits": settings.visits,
        # Another onnxruntime makes predictions less sure, and says so; another machine makes them wrong.
        "machine": replace(describe_device(), runtime="").fingerprint,
    }


def _measure(way: Way) -> None:
    run, file = way.run, way.run.predictor_file
    if file.is_file() and not way.records.has_made(_NAME, file):
        way.predictor()  # raises where it will not do
        way.tell(f"{file} was there before, and is used as it is.")
        return
    protocol = Protocol(visits=way.config.workflow.visits)
    _put_aside(run.table_file, protocol, Source(way.space.to_json(), way.skeleton.to_json()))
    with way.displays.search.timing() as progress:
        measure_space(
            way.space,
            way.skeleton,
            samples=way.config.workflow.timed,
            table=run.table_file,
            protocol=protocol,
            progress=progress,
        )
    LatencyPredictor.fit(LatencyTable.read(run.table_file), boosted=can_boost()).save(file)


def _put_aside(path: Path, protocol: Protocol, source: Source) -> None:
    """Give a table of another machine, protocol or space another name: timings do not mix."""
    if not path.is_file() or next(read_rows(path, strict=False), None) is None:
        return
    table = LatencyTable.read(path)
    wanted = f"{describe_device().fingerprint}-{protocol.fingerprint}"
    if table.fingerprint == wanted and all(known == source for known in table.sources):
        return
    names = (path.with_name(f"table-before-{number}.jsonl") for number in count(1))
    path.rename(next(name for name in names if not name.exists()))


@dataclass(frozen=True)
class _Offer:
    """What the networks of the space take by a predictor, and the budgets that are searched for.

    Args:
        least, most: of the cheapest and the most expensive network, in ms.
        error: of the predictor, on networks that its fit has not seen.
        budgets: in ms.
    """

    least: float
    most: float
    error: float
    budgets: tuple[float, ...]


@lru_cache(maxsize=1)
def _offer(way: Way, predictor: str) -> _Offer:
    """Of the predictor of that digest, which is asked about some hundred networks."""
    loaded, space = way.predictor(), way.space
    cost = predicted_cost(loaded, way.tracer, people=way.config.workflow.people)
    least = cost(cheapest(space, cost))
    most = max(cost(ArchManager(space).largest(head=head)) for head in space.heads)
    given = way.asked_ms or way.config.workflow.budgets_ms
    if given:
        chosen = check_budgets(given, space, cost)
    else:
        chosen = tuple(float(f"{least * (most / least) ** share:.2g}") for share in _SHARES)
    return _Offer(least, most, loaded.validation.held_out.mape, chosen)


def _found(way: Way) -> Sequence[str]:
    offer = _offer(way, predictor_digest(way))
    shown = " and ".join(f"{budget:g} ms" for budget in offer.budgets)
    return (
        f"On networks left out of the fit, the predictor is off by {offer.error:.1%} on average.",
        f"Networks of the space take {offer.least:.2f} to {offer.most:.2f} ms on this machine.",
        f"The budgets of the search: {shown}.",
    )
