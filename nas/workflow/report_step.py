"""The step that writes the report."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from nas import __version__
from nas.report.run_report import write_report
from nas.runs.folder import RunFolder
from nas.workflow.steps import WorkflowStep, digest_of
from nas.workflow.way import Way


def report_step(way: Way) -> WorkflowStep:
    """As `nas report`."""
    return WorkflowStep(
        "report",
        "Report",
        ("One page of all that was found.",),
        inputs=partial(_inputs, way.run),
        made=lambda: [way.run.report_file],
        work=partial(_write, way.run),
        found=partial(_found, way.run),
    )


def _inputs(run: RunFolder) -> dict[str, Any]:
    shown = (
        run.results_file, run.summary_file, run.predictor_file, run.metrics_file, run.diagnosis_file,
    )  # fmt: skip
    return {"version": __version__, **{path.name: digest_of(path) for path in shown}}


def _write(run: RunFolder) -> None:
    write_report(run)


def _found(run: RunFolder) -> Sequence[str]:
    return (f"Report: {run.report_file}",)
