"""`nas demo`: the whole way on generated people."""

from pathlib import Path
from typing import Annotated

import typer

from nas.cli.console import err, print_json
from nas.cli.options import JsonOption
from nas.cli.workflow_display import print_summary, workflow_displays


def demo(
    run: Annotated[Path, typer.Option(help="The run's folder.")] = Path("runs/demo"),
    quick: Annotated[
        bool, typer.Option("--quick", help="All stages, each too short to learn much; two minutes.")
    ] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; by default all cores.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Generate people and do with them what `nas run` does: train, search two budgets, export, report."""
    from nas.demo.pipeline import run_demo
    from nas.demo.scale import DemoScale

    scale = DemoScale.quick() if quick else DemoScale()
    summary = run_demo(run, scale, console=err, displays=workflow_displays(), threads=threads)
    if as_json:
        print_json(summary)
        return
    print_summary(run, summary)
