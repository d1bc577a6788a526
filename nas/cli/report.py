"""`nas report`: what a run found, as one HTML page."""

from pathlib import Path
from typing import Annotated

import typer

from nas.cli.console import print_json, remark, say
from nas.cli.options import JsonOption


def report(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    as_json: JsonOption = False,
) -> None:
    """Write RUN/report/index.html: Pareto front, networks, sample predictions, latencies, training."""
    from nas.report.run_report import write_report
    from nas.runs import RunFolder

    written = write_report(RunFolder.open(run))
    if as_json:
        print_json({"report": str(written.path), "missing": list(written.missing)})
        return
    for part in written.missing:
        remark(f"Missing in it: {part}")
    say(f"The report is in {written.path}")
