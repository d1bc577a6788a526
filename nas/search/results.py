"""What a search leaves behind: one arch JSON per budget, and `search/results.json`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.search.finalists import Finalist, Measured
from nas.search.pareto import pareto_front
from nas.search.values import Evaluated
from nas.space import Arch
from nas.train.run_folder import write_json


@dataclass(frozen=True)
class Subnet:
    """The network found for one budget.

    Args:
        budget_ms: the budget.
        item: architecture, predicted ms, inherited scores.
        measured: None where this machine is not the predictor's device.
    """

    budget_ms: float
    item: Evaluated
    measured: Measured | None

    @property
    def arch(self) -> Arch:
        return self.item.arch

    @property
    def name(self) -> str:
        """Of its files: says the budget, and cannot be taken for another architecture's."""
        return f"{self.budget_ms:.4g}ms-{self.arch.id[:6]}"

    def figures(self) -> dict[str, Any]:
        """Plain data: times in ms with decode and grouping, inherited scores."""
        measured = self.measured
        return {
            "name": self.name,
            "arch": self.arch.id,
            "budget_ms": self.budget_ms,
            "predicted_ms": self.item.predicted_ms,
            "measured_ms": measured.ms if measured else None,
            "median_ms": measured.median_ms if measured else None,
            "p95_ms": measured.p95_ms if measured else None,
            "loaded": measured.loaded if measured else None,
            "inherited_ap": self.item.scores.get("AP"),
            "inherited": dict(self.item.scores),
        }


@dataclass(frozen=True)
class SearchResult:
    """A finished search.

    Args:
        subnets: by rising budget.
        unmet_ms: budgets that no measured network met.
        measured: every network that was measured.
        history: everything scored.
        facts: what was searched with (study, predictor, device ...), plain data.
    """

    subnets: tuple[Subnet, ...]
    unmet_ms: tuple[float, ...]
    measured: tuple[Finalist, ...]
    history: tuple[Evaluated, ...]
    facts: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain data: the subnets, what was measured, and the Pareto front of everything scored."""
        return {
            **self.facts,
            "scored": len(self.history),
            "subnets": [subnet.figures() for subnet in self.subnets],
            "unmet_budgets_ms": list(self.unmet_ms),
            "measured": [
                {
                    **_point(finalist.item),
                    "measured_ms": finalist.measured.ms,
                    "loaded": finalist.measured.loaded,
                }
                for finalist in self.measured
            ],
            "front": [{**_point(item), "json": item.arch.to_json()} for item in pareto_front(self.history)],
        }

    def save(self, file: Path, subnets: Path) -> None:
        """Write `file`, and every subnet's arch JSON into the folder `subnets`."""
        subnets.mkdir(parents=True, exist_ok=True)
        for subnet in self.subnets:
            subnet.arch.save(subnets / f"{subnet.name}.json", info=subnet.figures())
        write_json(file, self.to_json())


def _point(item: Evaluated) -> dict[str, Any]:
    return {"arch": item.arch.id, "predicted_ms": item.predicted_ms, "accuracy": item.accuracy}
