"""The report of a run folder: one HTML page."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nas.files import write_text
from nas.pages import render
from nas.report import sections
from nas.report.html import missing
from nas.report.run_files import read_predictors, read_results, read_trainings
from nas.report.subnets import subnets
from nas.runs.environment import environment
from nas.runs.folder import RunFolder
from nas.runs.metrics import read_metrics


@dataclass(frozen=True)
class Report:
    """A written report.

    Args:
        path: of the page.
        missing: parts that the run does not hold yet, each with what makes it.
    """

    path: Path
    missing: tuple[str, ...]


def write_report(run: RunFolder) -> Report:
    """Write `report/index.html` into a run folder. A part that is missing is named in the page as missing."""
    results = read_results(run)
    predictors = read_predictors(run, results)
    parts: dict[str, Callable[[], str]] = {
        "What was searched": partial(sections.searched, run, results),
        "Subnets": partial(subnets, results, read_trainings(run)),
        "Predicted against measured": partial(sections.comparison, results, predictors),
        "Accuracy against latency": partial(sections.scatter, results),
        "How far the predictor can be trusted": partial(sections.predictor_errors, predictors, results),
        "Training of the supernet": partial(sections.training, read_metrics(run.metrics_file)),
    }
    absent: list[str] = []
    written = []
    for title, part in parts.items():
        try:
            content = part()
        except sections.MissingPartError as error:
            absent.append(str(error))
            content = missing(str(error))
        written.append((title, content))
    facts = environment()
    subtitle = (
        f"Written {facts['started']} on {facts['processor']} by pose-nas {facts['packages'].get('pose-nas')}"
    )
    title = f"Run {run.path.resolve().name}"
    write_text(run.report_file, render("report.html", title=title, subtitle=subtitle, sections=written))
    return Report(run.report_file, tuple(dict.fromkeys(absent)))
