"""The part of a run's report on training: losses, scores, the place of random networks, fine-tuning."""

from collections.abc import Mapping, Sequence

import numpy as np

from nas.evenly import evenly
from nas.report.charts import ChartAxis, ChartPoint, ChartSeries, chart
from nas.report.html import folded, paragraph, table
from nas.report.sections import MissingPartError
from nas.runs.metrics import PLACE_OF_RANDOM, Value

Rows = Sequence[Mapping[str, Value | None]]
"""Lines of `metrics.jsonl`. Losses are named `HEAD/WHOSE`, scores `val/NETWORK/FIGURE`."""

_SMOOTH = 0.02
_MOST_POINTS = 400
_NO_LOSSES = ("val/", "weight/", "gradient_norm/", PLACE_OF_RANDOM)
_STEP = ChartAxis("step")


def training_section(rows: Rows, finetunings: Mapping[str, Rows]) -> str:
    """The supernet's curves with the place of random networks for each head, and those of fine-tunings.

    Args:
        rows: of the supernet's training.
        finetunings: of every training of a subnet, by its name.
    """
    content = _curves(rows, label="Losses of the supernet over steps", places=True)
    if not content:
        raise MissingPartError("the supernet's training curve (metrics.jsonl); nas train writes it.")
    for name, own in finetunings.items():
        if curves := _curves(own, label=f"Losses of {name} over steps"):
            content += folded(f"Training of {name}", curves)
    return content


def _curves(rows: Rows, *, label: str, places: bool = False) -> str:
    """Losses, scores and, of a supernet, places of random networks, as far as there are any."""
    names = sorted({name for row in rows for name in row if "/" in name})
    losses = [name for name in names if not name.startswith(_NO_LOSSES)]
    scores = [name for name in names if name.startswith("val/")]
    content = ""
    if losses:
        steps = max(int(row["step"] or 0) for row in rows)
        series = [_series(rows, name, number, smooth=True) for number, name in enumerate(losses)]
        # Likelihoods may be negative.
        log = all(point.y > 0 for one in series for point in one.points)
        caption = f"{steps:,} steps; losses smoothed."
        content += chart(label, series, x=_STEP, y=ChartAxis("loss", log), caption=caption)
    if scores:
        series = [
            _series(rows, name, number, label=name.removeprefix("val/")) for number, name in enumerate(scores)
        ]
        axis = ChartAxis("score on validation images")
        content += chart("Scores on validation images over steps", series, x=_STEP, y=axis)
    return content + (_places_of_random(rows) if places else "")


def _places_of_random(rows: Rows) -> str:
    heads = sorted({name for row in rows for name in row if name.startswith(PLACE_OF_RANDOM)})
    series = [
        _series(rows, name, number, label=name.removeprefix(PLACE_OF_RANDOM))
        for number, name in enumerate(heads)
    ]
    series = [one for one in series if one.points]
    if not series:
        return ""
    last = [(one.name, one.points[-1].y) for one in series]
    return (
        chart(
            "The place of random networks over steps",
            series,
            x=_STEP,
            y=ChartAxis("place of random networks"),
        )
        + table(("head", "place of random networks"), last)
        + paragraph(
            "Where the label loss of random networks lay: 0 as the smallest network's, 1 as the largest's. "
            "The table has the last steps'.",
            note=True,
        )
    )


def _series(
    rows: Rows, name: str, number: int, *, label: str | None = None, smooth: bool = False
) -> ChartSeries:
    """One column over steps, thinned out to what can be seen."""
    found = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
    steps, values = np.array(found, np.float64).reshape(-1, 2).T
    width = max(1, round(_SMOOTH * len(values))) if smooth else 1
    kernel = np.ones(width)
    if width > 1:
        # At both ends the mean is over what there is.
        values = np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")
    points = [
        ChartPoint(float(steps[row]), float(f"{values[row]:.6g}"))
        for row in evenly(len(values), _MOST_POINTS)
    ]
    return ChartSeries(label or name, "line", points, number)
