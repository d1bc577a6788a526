"""The report of a run folder: one HTML page."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nas.files import write_text
from nas.pages import render
from nas.report import sections
from nas.report.accuracy import accuracy_section
from nas.report.diagnosis import diagnosis_section
from nas.report.html import missing
from nas.report.networks import networks_section
from nas.report.next_steps import next_steps_section
from nas.report.run_files import (
    read_diagnosis,
    read_finetunings,
    read_predictors,
    read_trainings,
    search_results,
)
from nas.report.samples import samples_section
from nas.report.subnets import subnets
from nas.report.training import training_section
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
    results = search_results(run)
    predictors, trainings = read_predictors(run, results), read_trainings(run, results)
    parts: dict[str, Callable[[], str]] = {
        "What was searched": partial(sections.searched, run, results),
        "Accuracy against latency": partial(accuracy_section, run, results, predictors),
        "The networks": partial(networks_section, run, results, trainings),
        "Subnets": partial(subnets, results, trainings),
        "Sample predictions": partial(samples_section, run, results),
        "Predicted against measured": partial(sections.comparison, results, predictors),
        "How far the ranking can be trusted": partial(diagnosis_section, read_diagnosis(run)),
        "How far the predictor can be trusted": partial(sections.predictor_errors, predictors, results),
        "Training": partial(training_section, read_metrics(run.metrics_file), read_finetunings(run)),
        "Going on": partial(next_steps_section, run, results),
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
