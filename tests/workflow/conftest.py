"""Data sets of one's own, small ones."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from own_data import OwnData, own_data
from rich.console import Console

from nas.runs import RunFolder, load_config
from nas.train.clock import Deadline
from nas.workflow.start import write_start
from nas.workflow.way import Way, WorkflowDisplays, own_predictor

__all__ = ["own_data"]


WayMaker = Callable[..., Way]


@pytest.fixture
def make_way(tmp_path: Path, own_data: OwnData) -> WayMaker:
    """A way from 40 of one's own pictures, by the recipe that `nas init` writes with fields changed."""
    file = own_data(count=40)
    write_start(file)

    def make(*overrides: str, hours: float | None = None, budgets_ms: tuple[float, ...] = ()) -> Way:
        config = load_config(file.parent / "recipe.yaml", overrides)
        run = RunFolder(tmp_path / "run")
        console = Console(file=StringIO(), width=120)
        return Way(run, own_predictor(config, run), budgets_ms, console, WorkflowDisplays(), Deadline(hours))

    return make
