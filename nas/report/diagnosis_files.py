"""What a diagnosis found, as files of their own."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nas.files import write_bytes, write_text
from nas.pages import cell
from nas.report.diagnosis import DIAGNOSIS_NOTE
from nas.report.diagnosis_plot import plot_diagnosis
from nas.runs.folder import RunFolder
from nas.search.diagnosis.words import explain, networks_table, rankings_table, scopes


def write_diagnosis(run: RunFolder, figures: Mapping[str, Any]) -> None:
    """Write `diagnosis/diagnosis.md` and `diagnosis.png` into a run folder."""
    lines = [f"# How far the ranking of {run.path.resolve().name} can be trusted", ""]
    for sentence in explain(figures):
        lines += [sentence, ""]
    for title, scope in scopes(figures):
        lines += [f"## {title}", "", *_markdown(*rankings_table(scope)), ""]
    lines += [DIAGNOSIS_NOTE, "", "## Networks", "", *_markdown(*networks_table(figures)), ""]
    lines += ["![Inherited accuracy against accuracy alone](diagnosis.png)"]
    write_text(run.diagnosis_file.with_suffix(".md"), "\n".join(lines) + "\n")
    write_bytes(run.diagnosis_file.with_suffix(".png"), plot_diagnosis(figures))


def _markdown(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """The lines of a table."""
    rule = ["---", *["---:"] * (len(columns) - 1)]
    filled = [columns, rule, *([cell(value) for value in row] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in filled]
