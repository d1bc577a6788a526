"""The step that searches, and what it found as the later steps read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from nas.documents import read_json
from nas.errors import UserError
from nas.runs.folder import RunFolder
from nas.search.results import NOTHING_LEARNED
from nas.search.run import SearchSettings, search_run
from nas.space import Arch
from nas.workflow.steps import WorkflowStep, digest_of
from nas.workflow.timing_step import budgets, predictor_digest
from nas.workflow.way import Way


@dataclass(frozen=True)
class Winner:
    """The network that a search found for a budget.

    Args:
        figures: as the search's results have them.
        arch: the network.
        weights: where those of its fine-tuning lie; networks that won several budgets are trained once.
    """

    figures: Mapping[str, Any]
    arch: Arch
    weights: Path

    @property
    def name(self) -> str:
        return str(self.figures["name"])

    @property
    def onnx(self) -> Path:
        """Where it is exported to."""
        return self.weights.with_suffix(".onnx")


def search_step(way: Way) -> WorkflowStep:
    """As `nas search`, with the run's predictor."""
    return WorkflowStep(
        "search",
        "Search",
        (
            f"{way.config.workflow.trials} networks that are predicted to fit a budget are scored with",
            "inherited weights, on pictures kept apart from training. The best are really measured.",
        ),
        inputs=partial(_inputs, way),
        made=partial(_made, way.run),
        work=partial(_search, way),
        found=partial(_found, way),
    )


def require_results(run: RunFolder) -> Mapping[str, Any]:
    """What the search wrote. Raises UserError where it is not there, or damaged."""
    content = read_json(run.results_file)
    if not isinstance(content, Mapping) or "subnets" not in content:
        raise UserError(f"{run.results_file}: holds no results of a search; remove it to search again")
    return content


def winners(run: RunFolder) -> list[Winner]:
    """By rising budget. Raises UserError as `require_results` and `Arch.load` do."""
    found: list[Winner] = []
    weights: dict[str, Path] = {}
    for figures in require_results(run)["subnets"]:
        arch = Arch.load(run.subnets_folder / f"{figures['name']}.json")
        path = weights.setdefault(arch.id, run.subnets_folder / f"{figures['name']}.safetensors")
        found.append(Winner(figures, arch, path))
    return found


def _inputs(way: Way) -> dict[str, Any]:
    settings, run = way.config.workflow, way.run
    return {
        "data": way.training_data(),
        "weights": digest_of(run.weights_file),
        "kept for the search": digest_of(run.search_split_file),
        "predictor": predictor_digest(way),
        "budgets_ms": budgets(way),
        "trials": settings.trials,
        "metric": settings.metric,
        "people": settings.people,
        **({"train_finalists": settings.train_finalists} if settings.train_finalists else {}),
    }


def _made(run: RunFolder) -> list[Path]:
    if not run.results_file.is_file():
        return [run.results_file]
    names = [str(figures["name"]) for figures in require_results(run)["subnets"]]
    return [run.results_file, *(run.subnets_folder / f"{name}.json" for name in names)]


def _search(way: Way) -> None:
    settings = way.config.workflow
    search_run(
        way.run.path,
        SearchSettings(
            budgets_ms=budgets(way),
            trials=settings.trials,
            metric=settings.metric,
            people=settings.people,
            train_finalists=settings.train_finalists,
            processes=way.config.processes,
        ),
        progress=way.displays.search,
    )


def _found(way: Way) -> Sequence[str]:
    results = require_results(way.run)
    lines = [
        f"{figures['name']}: {results['metric']} {figures['inherited'][results['metric']]:.3f} inherited, "
        f"{figures['measured_ms']:.3f} ms measured"
        for figures in results["subnets"]
    ]
    unmet = [f"{budget:g} ms: no network was measured within it" for budget in results["unmet_budgets_ms"]]
    worthless = results.get("better_than_average_pose") is False
    return [*lines, *unmet, *([NOTHING_LEARNED] if worthless else [])]
