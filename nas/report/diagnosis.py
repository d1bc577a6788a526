"""What a diagnosis found: a part of the report, and as files of their own."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nas.files import write_bytes, write_text
from nas.pages import cell
from nas.report.diagnosis_plot import plot_diagnosis
from nas.report.html import paragraph, picture, table
from nas.report.sections import MissingPartError
from nas.runs.folder import RunFolder
from nas.search.diagnosis.words import SCOPES, explain, networks_table, rankings_table

_NOTE = (
    "Pairs right: pairs of networks that stand in the same order alone, mean of the seeds. Tau and Spearman: "
    "rank correlations with that mean; the last column with one seed, as the ceiling is. Intervals: networks "
    "drawn anew; of drawing lots, where nine of ten lie."
)


def write_diagnosis(run: RunFolder, figures: Mapping[str, Any]) -> None:
    """Write `diagnosis/diagnosis.md` and `diagnosis.png` into a run folder."""
    lines = [f"# How far the ranking of {run.path.resolve().name} can be trusted", ""]
    for sentence in explain(figures):
        lines += [sentence, ""]
    for scope, title in SCOPES.items():
        if figures[scope] is not None:
            lines += [f"## {title}", "", *_markdown(*rankings_table(figures[scope])), ""]
    lines += [_NOTE, "", "## Networks", "", *_markdown(*networks_table(figures)), ""]
    lines += ["![Inherited accuracy against accuracy alone](diagnosis.png)"]
    write_text(run.diagnosis_file.with_suffix(".md"), "\n".join(lines) + "\n")
    write_bytes(run.diagnosis_file.with_suffix(".png"), plot_diagnosis(figures))


def diagnosis_section(figures: Mapping[str, Any] | None) -> str:
    """The same as a part of the report."""
    if figures is None:
        raise MissingPartError("a diagnosis (diagnosis/diagnosis.json); nas diagnose makes it, in hours.")
    first, *others = explain(figures)
    content = paragraph(first)  # HTML, to which only HTML is added as it is
    for text in others:
        content += paragraph(text)
    content += picture(
        plot_diagnosis(figures),
        alt="Inherited accuracy against accuracy alone",
        caption="Left: bars reach from the worst seed to the best. Right: of the pairs whose inherited "
        "accuracies differ by so much or more, those that are right.",
    )
    for scope, title in SCOPES.items():
        if figures[scope] is not None:
            columns, rows = rankings_table(figures[scope])
            content += table((f"{title}, ranked by", *columns[1:]), rows)
    return content + paragraph(_NOTE, note=True) + table(*networks_table(figures))


def _markdown(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """The lines of a table."""
    rule = ["---", *["---:"] * (len(columns) - 1)]
    filled = [columns, rule, *([cell(value) for value in row] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in filled]
