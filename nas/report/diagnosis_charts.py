"""The plots of a diagnosis in a report."""

from collections.abc import Mapping
from typing import Any

from nas.report.charts import ChartAxis, ChartPoint, ChartSeries, chart
from nas.report.diagnosis_series import Networks, agreements, by_bin
from nas.report.html import cell


def diagnosis_charts(figures: Mapping[str, Any]) -> str:
    """Accuracy alone over inherited accuracy, and what a difference of the latter is worth.

    Args:
        figures: content of `diagnosis.json`.
    """
    metric = figures["metric"]
    scores = chart(
        "Accuracy alone over inherited accuracy",
        [
            ChartSeries(group.name, "dot", [_score(row, metric) for row in group.members], group.number)
            for group in by_bin(figures["networks"])
        ],
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
    """By falling difference, so that a step holds until the next pair joins."""
    return [
        ChartSeries(
            line.name,
            "steps",
            [
                ChartPoint(
                    size,
                    share,
                    tip=(
                        line.name,
                        f"{share:.0%} of {pairs} pairs are right",
                        f"that differ by {size:.4f} or more",
                    ),
                )
                for size, share, pairs in line.points
            ],
            number,
        )
        for number, line in enumerate(agreements(rows))
    ]
