"""What a search leaves behind: one arch JSON per budget, and `search/results.json`."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from nas.documents import known_json
from nas.errors import UserError
from nas.files import write_json
from nas.search.finalists import Finalist
from nas.search.measurement import Measurement
from nas.search.pareto import pareto_front
from nas.search.values import Evaluation, Interval
from nas.space import Arch

NOTHING_LEARNED = (
    "No network scored better than the average pose: the supernet has not learned enough to tell networks "
    "apart; train it for longer before relying on any of them."
)


@dataclass(frozen=True)
class LatencyPrediction:
    """What the predictor says of one network.

    Args:
        total: end to end.
        network: of it alone, once, with decode.
        in_fit: whether the predictor was fitted with this network's own timing: its error is then no test.
    """

    total: Interval
    network: Interval
    in_fit: bool = False

    def compared(self, measured: Measurement | None) -> dict[str, Any]:
        """Plain data: predicted against measured; errors are predicted / measured - 1, in percent.

        Intervals are the wider for load while it was measured.
        """
        allowance = measured.load_allowance if measured else 0.0
        total, network = self.total.under_load(allowance), self.network.under_load(allowance)
        return {
            "predicted_ms": total.predicted_ms,
            "low_ms": total.low_ms,
            "high_ms": total.high_ms,
            "predicted_network_ms": network.predicted_ms,
            "low_network_ms": network.low_ms,
            "high_network_ms": network.high_ms,
            "in_fit": self.in_fit,
            **(measured.figures() if measured else dict.fromkeys(_MEASURED)),
            "error_percent": 100 * total.error(measured.ms) if measured else None,
            "in_interval": total.holds(measured.ms) if measured else None,
        }


_MEASURED = ("measured_ms", *(known.name for known in fields(Measurement) if known.name != "ms"))

_MEASURED_UNDER = (
    "measured_on", "protocol", "predictor_digest", "refined_predictor_digest",
    "people", "detector", "detector_ms",
)  # fmt: skip


@dataclass(frozen=True)
class Subnet:
    """The network found for one budget.

    Args:
        budget_ms: the budget.
        item: architecture, predicted ms, inherited scores.
        measured: None where this machine is not the predictor's device, or nothing was to be measured.
        predicted: with its intervals.
        tied: ids of other finalists within the budget that are as accurate as far as can be told.
        run: the way from the folder of the search's run to that of the one whose weights it was scored with,
            where several were searched; None for the only one.
        trained: the best networks of different heads or runs, trained on for a while, with the scores of
            then, the best one first: this one. Nothing where there was nothing to train.
    """

    budget_ms: float
    item: Evaluation
    measured: Measurement | None
    predicted: LatencyPrediction
    tied: tuple[str, ...] = ()
    run: str | None = None
    trained: tuple[Evaluation, ...] = ()

    @property
    def arch(self) -> Arch:
        return self.item.arch

    @property
    def name(self) -> str:
        """Of its files: says the budget, and cannot be taken for another architecture's."""
        return f"{self.budget_ms:.4g}ms-{self.arch.id[:6]}"

    def figures(self) -> dict[str, Any]:
        """Plain data: times in ms, end to end where nothing else is said; inherited scores."""
        return {
            "name": self.name,
            "arch": self.arch.id,
            "budget_ms": self.budget_ms,
            **self.predicted.compared(self.measured),
            **_accuracy(self.item),
            "tied_with": list(self.tied),
            "inherited_ap": self.item.scores.get("AP"),
            "inherited": {name: value for name, value in self.item.scores.items() if "/" not in name},
            **({} if self.run is None else {"run": self.run}),
            **({"trained": [_trained(item) for item in self.trained]} if self.trained else {}),
        }


@dataclass(frozen=True)
class ResultPlace:
    """Where what a search found is written: `file` tells all of it, `subnets` is a folder of arch JSONs."""

    file: Path
    subnets: Path


@dataclass(frozen=True)
class SearchResult:
    """A finished search.

    Args:
        subnets: by rising budget.
        unmet_ms: budgets that no measured network met; none as predicted, where nothing was measured.
        measured: every network that was measured as a finalist.
        history: everything scored.
        facts: what was searched with (study, predictor, device ...), plain data.
        predicted: of the measured networks, by arch id.
        runs: where several runs were searched, by arch id the one that a network is of, see `Subnet.run`.
        place: where it was written; None while it was not.
    """

    subnets: tuple[Subnet, ...]
    unmet_ms: tuple[float, ...]
    measured: tuple[Finalist, ...]
    history: tuple[Evaluation, ...]
    facts: Mapping[str, Any]
    predicted: Mapping[str, LatencyPrediction] = field(default_factory=dict)
    runs: Mapping[str, str] = field(default_factory=dict)
    place: ResultPlace | None = None

    def of_runs(self, runs: Mapping[str, str]) -> "SearchResult":
        """The same of several runs, see `runs`."""
        subnets = tuple(replace(subnet, run=runs[subnet.arch.id]) for subnet in self.subnets)
        return replace(self, subnets=subnets, runs=runs)

    def finalists(self) -> list[dict[str, Any]]:
        """Plain data, by rising time: every finalist, predicted against measured, and the budgets it won."""
        won: dict[str, list[float]] = {subnet.arch.id: [] for subnet in self.subnets}
        for subnet in self.subnets:
            won[subnet.arch.id].append(subnet.budget_ms)
        return [
            {
                "arch": finalist.item.arch.id,
                **_accuracy(finalist.item),
                **self.predicted[finalist.item.arch.id].compared(finalist.measured),
                "won_budgets_ms": won.get(finalist.item.arch.id, []),
                **({"timings": [each.figures() for each in finalist.timings]} if finalist.timings else {}),
                **self._run(finalist.item),
            }
            for finalist in sorted(self.measured, key=lambda f: f.measured.ms)
        ]

    @property
    def average_pose(self) -> float | None:
        """What the average pose scores on the search split by the metric; None where nobody asked it."""
        value: float | None = self.facts.get("average_pose", {}).get(self.facts.get("metric"))
        return value

    def beats_average(self, items: Iterable[Evaluation]) -> bool | None:
        """Whether one of these networks scores better than the average pose in everyone's true box."""
        average = self.average_pose
        return None if average is None else any(item.accuracy > average for item in items)

    def to_json(self) -> dict[str, Any]:
        """Plain data: the subnets, what was measured, all that was scored, and its Pareto front."""
        return {
            **self.facts,
            "scored": len(self.history),
            "average_pose_accuracy": self.average_pose,
            "better_than_average_pose": self.beats_average(self.history),
            "subnets": [
                {**subnet.figures(), "better_than_average_pose": self.beats_average([subnet.item])}
                for subnet in self.subnets
            ],
            "unmet_budgets_ms": list(self.unmet_ms),
            "measured": self.finalists(),
            "front": [
                {**_point(item), **self._run(item), "json": item.arch.to_json()}
                for item in pareto_front(self.history)
            ],
            "evaluated": [{**_point(item), **self._run(item)} for item in self.history],
        }

    def save(self, file: Path, subnets: Path) -> None:
        """Write `file`, and every subnet's arch JSON into the folder `subnets`.

        Arch JSONs that the former content of `file` names, and this result does not, are removed.
        """
        subnets.mkdir(parents=True, exist_ok=True)
        for subnet in self.subnets:
            subnet.arch.save(subnets / f"{subnet.name}.json", info=subnet.figures())
        _remove_former(file, subnets, kept={subnet.name for subnet in self.subnets})
        write_json(file, self.to_json())

    def _run(self, item: Evaluation) -> dict[str, str]:
        """Which run a network is of; nothing where there is one run alone."""
        return {"run": self.runs[item.arch.id]} if self.runs else {}


def former_measurements(file: Path, facts: Mapping[str, Any]) -> dict[str, tuple[Measurement, ...]]:
    """By arch id, what `file` says was measured under the same facts; empty where it says nothing of them.

    Of what was timed twice, both timings.
    """
    found = known_json(file) or {}
    try:
        if any(found[name] != json.loads(json.dumps(facts[name])) for name in _MEASURED_UNDER):
            return {}
        return {
            entry["arch"]: tuple(map(Measurement.from_figures, entry.get("timings") or [entry]))
            for entry in found["measured"]
        }
    except (KeyError, TypeError):
        return {}


def former_average_pose(file: Path, *, study: str) -> dict[str, float]:
    """What `file` says that the average pose scores; nothing where it is of another study."""
    found = known_json(file) or {}
    return dict(found.get("average_pose", {})) if found.get("study") == study else {}


def finalist_remarks(entry: Mapping[str, Any]) -> str:
    """What to know of one of `SearchResult.finalists`; results of older versions do not tell all of it."""
    remarks = [f"best within {budget:g} ms" for budget in entry.get("won_budgets_ms", [])]
    remarks += ["in the fit"] if entry.get("in_fit") else []
    remarks += ["timed under load"] if entry.get("loaded") else []
    remarks += ["timed twice"] if entry.get("timings") else []
    return ", ".join(remarks)


def drift_remarks(finalists: Iterable[Mapping[str, Any]]) -> list[str]:
    """What the machine's drift did to the times of `SearchResult.finalists`, a line for each timing."""
    timings = [each for entry in finalists for each in entry.get("timings") or [entry]]
    # Networks that were timed side by side share a drift.
    seen = {(each["drift"], each["corrected"]) for each in timings if each.get("drift") is not None}
    return [
        f"Networks of the latency table took {drift:.3f} times what the table says: "
        + ("times are divided by that." if corrected else "within its noise, so times are as measured.")
        for drift, corrected in sorted(seen)
    ]


def _trained(item: Evaluation) -> dict[str, Any]:
    return {"arch": item.arch.id, "head": item.arch.head.type, **_accuracy(item)}


def _point(item: Evaluation) -> dict[str, Any]:
    stopped = {} if item.stopped_at is None else {"stopped_at": item.stopped_at}
    return {"arch": item.arch.id, "predicted_ms": item.predicted_ms, **_accuracy(item), **stopped}


def _accuracy(item: Evaluation) -> dict[str, Any]:
    """With the ends of its interval over people, where that is known."""
    ends = zip(("accuracy_low", "accuracy_high"), item.interval or (), strict=False)
    return {"accuracy": item.accuracy, **dict(ends)}


def _remove_former(file: Path, subnets: Path, *, kept: Collection[str]) -> None:
    """Remove what an earlier search wrote; a file that holds another network by now is somebody else's."""
    for name, arch in _former_subnets(file):
        path = subnets / f"{name}.json"
        if name not in kept and path.parent == subnets and path.is_file() and _arch_id(path) == arch:
            path.unlink()


def _former_subnets(file: Path) -> list[tuple[str, str]]:
    """Name and arch id of the subnets that a former result names."""
    try:
        return [(str(subnet["name"]), str(subnet["arch"])) for subnet in (known_json(file) or {})["subnets"]]
    except (KeyError, TypeError):
        return []


def _arch_id(path: Path) -> str | None:
    try:
        return Arch.load(path).id
    except UserError:
        return None
