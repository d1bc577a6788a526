"""The whole way as one call that goes on where it was stopped."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from nas.documents import read_json
from nas.errors import UserError
from nas.locks import sole_process
from nas.progress import duration
from nas.runs.config import SupernetConfig
from nas.runs.folder import RunFolder
from nas.shipped import is_shipped, locate
from nas.train.clock import Deadline
from nas.train.launch import processes
from nas.workflow.data_check import data_check_step, require_possible
from nas.workflow.finetuning_step import finetuning_step
from nas.workflow.report_step import report_step
from nas.workflow.search_step import search_step
from nas.workflow.steps import follow
from nas.workflow.timing_step import timing_step
from nas.workflow.training_step import training_step
from nas.workflow.validation_step import validation_step
from nas.workflow.way import Way, WorkflowDisplays, own_predictor


def run_workflow(
    config: SupernetConfig,
    folder: Path,
    *,
    budgets_ms: Iterable[float] = (),
    hours: float | None = None,
    console: Console,
    displays: WorkflowDisplays | None = None,
) -> dict[str, Any]:
    """Go the whole way: check, measure and fit, train, search, fine-tune, export and validate, report.

    Each step is left out where its result is there and was made of what there is now. Networks are timed
    before anything is trained: a budget that cannot be met is known in a minute, and training draws networks
    evenly over milliseconds.

    Args:
        config: the recipe; its `workflow` says how much is measured and searched.
        folder: the run's folder.
        budgets_ms: most milliseconds that a network may take; none for those of the recipe, or two that mean
            something on any machine.
        hours: pause after so long; None to go on to the end.
        console: where steps are announced.
        displays: how they tell their progress.

    Returns:
        The summary, which lies in `folder/summary.json` too.

    Raises:
        Paused: after `hours`; the same call goes on.
        UserError: a mistake in recipe or data; a folder with a run of another recipe, or that another process
            works in; a budget below the cheapest network.
        KeyboardInterrupt: after Ctrl-C; the same call goes on.
    """
    if processes() > 1:
        raise UserError(
            "one process goes the whole way: start it without torchrun or srun; a supernet that several "
            "processes trained by `nas train` is gone on with"
        )
    started, deadline = time.monotonic(), Deadline(hours)
    run = RunFolder(folder)
    with sole_process(run.workflow_folder):
        way = Way(
            run,
            own_predictor(config, run),
            tuple(budgets_ms),
            console,
            displays or WorkflowDisplays(),
            deadline,
        )
        require_possible(way)
        if run.config_file.is_file():
            RunFolder.start(folder, way.config)  # compares
        steps = (
            data_check_step,
            timing_step,
            training_step,
            search_step,
            finetuning_step,
            validation_step,
            report_step,
        )
        follow([step(way) for step in steps], way.records, console=console, deadline=deadline)
    way.tell(f"\nDone in {duration(time.monotonic() - started)}.")
    return _summary(run)


def usual_runs(recipe: str | Path) -> Path:
    """Where runs of a recipe lie: beside it, so that it is the same from any folder; here for one that ships.

    Raises UserError where there is no such recipe.
    """
    path = locate("supernets", recipe, ".yaml")
    return Path("runs") if is_shipped("supernets", path) else path.parent / "runs"


def _summary(run: RunFolder) -> dict[str, Any]:
    content = read_json(run.summary_file)
    if not isinstance(content, Mapping):
        raise UserError(f"{run.summary_file}: holds no summary; remove it, and run again")
    return dict(content)
