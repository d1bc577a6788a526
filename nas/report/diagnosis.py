"""The part of a run's report on what a diagnosis found."""

from collections.abc import Mapping
from typing import Any

from nas.report.diagnosis_charts import diagnosis_charts
from nas.report.html import paragraph, table
from nas.report.sections import MissingPartError
from nas.search.diagnosis.words import explain, networks_table, rankings_table, scopes

DIAGNOSIS_NOTE = (
    "Pairs right: pairs of networks that stand in the same order alone, mean of the seeds. Tau and Spearman: "
    "rank correlations with that mean; the last column with one seed, as the ceiling is. Intervals: networks "
    "drawn anew; of drawing lots, where nine of ten lie."
)


def diagnosis_section(figures: Mapping[str, Any] | None) -> str:
    """What a diagnosis found, as `nas diagnose` wrote it."""
    if figures is None:
        raise MissingPartError("a diagnosis (diagnosis/diagnosis.json); nas diagnose makes it, in hours.")
    first, *others = explain(figures)
    content = paragraph(first)  # HTML, to which only HTML is added as it is
    for text in others:
        content += paragraph(text)
    content += diagnosis_charts(figures)
    for title, scope in scopes(figures):
        columns, rows = rankings_table(scope)
        content += table((f"{title}, ranked by", *columns[1:]), rows)
    return content + paragraph(DIAGNOSIS_NOTE, note=True) + table(*networks_table(figures))
