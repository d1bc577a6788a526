"""The plot of a diagnosis."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.report.diagnosis_series import agreements, by_bin
from nas.report.figures import COLOURS, GREY, new_figure, png
from nas.search.diagnosis.statistics import ENOUGH

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_diagnosis(figures: Mapping[str, Any]) -> bytes:
    """PNG: accuracy alone over inherited accuracy, and what a difference of the latter is worth.

    Args:
        figures: content of `diagnosis.json`.
    """
    figure, (scores, shares) = new_figure(11.0, 4.6, columns=2)
    _draw_scores(scores, figures)
    _draw_shares(shares, figures)
    return png(figure)


def _draw_scores(axes: "Axes", figures: Mapping[str, Any]) -> None:
    for group in by_bin(figures["networks"]):
        x, y = (np.array([row[name] for row in group.members]) for name in ("inherited", "alone_mean"))
        alone = np.array([row["alone"] for row in group.members])
        axes.errorbar(
            x,
            y,
            yerr=np.stack([y - alone.min(1), alone.max(1) - y]),
            fmt="o",
            markersize=5,
            linewidth=1,
            color=GREY if group.number is None else COLOURS[group.number % len(COLOURS)],
            label=group.name,
        )
    axes.set_xlabel(f"{figures['metric']}, inherited weights")
    axes.set_ylabel(f"{figures['metric']}, trained alone")
    axes.legend(frameon=False, fontsize=9, loc="upper left")


def _draw_shares(axes: "Axes", figures: Mapping[str, Any]) -> None:
    lowest = 0.4
    for colour, line in zip(COLOURS, agreements(figures["networks"]), strict=False):
        if line.points:
            sizes, shares, _ = zip(*line.points, strict=True)
            lowest = min(lowest, *shares)
            axes.plot(sizes, shares, color=colour, drawstyle="steps-pre", label=line.name)
    axes.axhline(ENOUGH, color=GREY, linestyle="--", linewidth=1)
    axes.axhline(0.5, color=GREY, linestyle=":", linewidth=1)
    axes.set_ylim(lowest - 0.02, 1.02)
    axes.set_xlabel(f"inherited {figures['metric']} differs by this or more")
    axes.set_ylabel("share of pairs that are right")
    if axes.lines[:-2]:
        axes.legend(frameon=False, fontsize=9, loc="lower right")
