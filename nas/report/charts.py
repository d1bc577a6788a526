"""Plots inside a report, drawn by its page as wide as there is room, with figures for whoever points."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nas.report.html import cell, chart_of

Mark = Literal["dot", "ring", "star", "diamond", "line", "steps"]
Bounds = tuple[float, float]

BAND = 0.10
"""About the diagonal of predicted against measured: predictions that are called near."""


@dataclass(frozen=True)
class ChartPoint:
    """One point of a plot.

    Args:
        x, y: where it lies.
        x_bounds, y_bounds: drawn as bars.
        tip: lines that say what it is, the first one its name; none for its series and its figures.
    """

    x: float
    y: float
    x_bounds: Bounds | None = None
    y_bounds: Bounds | None = None
    tip: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What the page's program reads."""
        data = {"x": self.x, "y": self.y, "xs": self.x_bounds, "ys": self.y_bounds, "tip": self.tip}
        return {name: value for name, value in data.items() if value is not None and value != ()}


@dataclass(frozen=True)
class ChartSeries:
    """Points of one kind.

    Args:
        name: in the legend, which hides and shows them.
        mark: what they look like; "line" and "steps" join them.
        points: from left to right.
        colour: number of one of the page's eight colours; None for grey.
        shown: whether they are seen before anyone asks for them.
    """

    name: str
    mark: Mark
    points: Sequence[ChartPoint]
    colour: int | None = 0
    shown: bool = True

    def to_json(self) -> dict[str, Any]:
        """What the page's program reads; points at no finite place are left out."""
        colour = "grey" if self.colour is None else f"c{self.colour % 8}"
        points = [
            point.to_json() for point in self.points if math.isfinite(point.x) and math.isfinite(point.y)
        ]
        return {
            "name": self.name,
            "mark": self.mark,
            "colour": colour,
            "shown": self.shown,
            "points": points,
        }


@dataclass(frozen=True)
class ChartAxis:
    """What one axis says, and whether it is logarithmic, which takes positive values."""

    label: str
    log: bool = False


def chart(
    label: str,
    series: Sequence[ChartSeries],
    *,
    x: ChartAxis,
    y: ChartAxis,
    caption: str = "",
    verticals: Sequence[tuple[float, str]] = (),
    band: float | None = None,
) -> str:
    """A plot, as HTML.

    Args:
        label: what it shows, for those who do not see it.
        series: the most important first; it lies on top. Those without points are left out.
        x, y: the axes.
        caption: below it.
        verticals: places on the x axis that are marked, each with its name.
        band: draws the diagonal with a band of that share about it, and makes both axes the same.
    """
    data = {
        "label": label,
        "x": vars(x),
        "y": vars(y),
        "verticals": [{"at": at, "text": text} for at, text in verticals],
        "band": band,
        "series": [one.to_json() for one in series if one.points],
    }
    return chart_of(data, caption)


def within(share: str, bounds: Bounds | None) -> str:
    """Of a tip: between which ends a figure lies with that probability; nothing where nobody knows."""
    return "" if bounds is None else f" ({share}: {cell(bounds[0])} to {cell(bounds[1])})"
