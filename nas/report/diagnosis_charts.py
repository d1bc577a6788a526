"""The plots of a diagnosis in a report."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nas.report.charts import ChartAxis, ChartPoint, ChartSeries, chart
from nas.report.html import cell
from nas.search.diagnosis.statistics import LEAST_PAIRS, agreement_by_difference

Networks = Sequence[Mapping[str, Any]]


def diagnosis_charts(figures: Mapping[str, Any]) -> str:
    """Accuracy alone over inherited accuracy, and what a difference of the latter is worth.

    Args:
        figures: content of `diagnosis.json`.
    """
    metric = figures["metric"]
    scores = chart(
        "Accuracy alone over inherited accuracy",
        list(_scores(figures["networks"], metric)),
        x=ChartAxis(f"{metric}, inherited weights"),
        y=ChartAxis(f"{metric}, trained alone"),
        caption="Bars reach from the worst seed to the best.",
    )
    shares = _shares(figures["networks"])
    if not any(series.points for series in shares):
        return scores
    return scores + chart(
        "Pairs that are right over their difference of inherited accuracy",
        shares,
        x=ChartAxis(f"inherited {metric} differs by this or more"),
        y=ChartAxis("share of pairs that are right"),
        caption="Of the pairs whose inherited accuracies differ by so much or more, those that are right.",
    )


def _scores(rows: Networks, metric: str) -> list[ChartSeries]:
    """A series for each bin, and one of the other networks."""
    series = []
    for number in sorted({row["bin"] for row in rows}, key=lambda number: (number is None, number)):
        members = sorted(
            (row for row in rows if row["bin"] == number), key=lambda row: float(row["inherited"])
        )
        ms = np.exp(np.mean(np.log([row["predicted_ms"] for row in members])))
        name = "other networks" if number is None else f"bin at {ms:.3g} ms"
        series.append(ChartSeries(name, "dot", [_score(row, metric) for row in members], number))
    return series


def _score(row: Mapping[str, Any], metric: str) -> ChartPoint:
    alone = [float(value) for value in row["alone"]]
    tip = (
        row["arch"],
        f"{cell(float(row['predicted_ms']))} ms predicted",
        f"{metric} {cell(float(row['inherited']))} inherited",
        f"{metric} {cell(float(row['alone_mean']))} alone ({', '.join(cell(value) for value in alone)})",
    )
    return ChartPoint(row["inherited"], row["alone_mean"], y_bounds=(min(alone), max(alone)), tip=tip)


def _shares(rows: Networks) -> list[ChartSeries]:
    """By falling difference, so that a step holds until the next pair joins; few pairs tell nothing."""
    binned = [row for row in rows if row["bin"] is not None]
    lines = {
        "all pairs": (rows, np.zeros(len(rows), np.int64)),
        "pairs within a bin": (binned, np.array([row["bin"] for row in binned], np.int64)),
    }
    series = []
    for number, (name, (members, groups)) in enumerate(lines.items()):
        x, y = (np.array([row[key] for row in members], float) for key in ("inherited", "alone_mean"))
        found = zip(*agreement_by_difference(x, y, groups), strict=True)
        points = [
            ChartPoint(
                float(size),
                float(right),
                tip=(name, f"{right:.0%} of {count} pairs are right", f"that differ by {size:.4f} or more"),
            )
            for size, right, count in found
            if count >= LEAST_PAIRS
        ]
        series.append(ChartSeries(name, "steps", points, number))
    return series
