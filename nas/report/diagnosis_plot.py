"""The plot of a diagnosis."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.report.figures import COLOURS, GREY, new_figure, png
from nas.search.diagnosis.statistics import LEAST_PAIRS, agreement_by_difference

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ENOUGH = 0.9


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
    rows = figures["networks"]
    for number in sorted({row["bin"] for row in rows}, key=lambda bin: (bin is not None, bin)):
        members = [row for row in rows if row["bin"] == number]
        ms = np.exp(np.mean(np.log([row["predicted_ms"] for row in members])))
        x, y = (np.array([row[name] for row in members]) for name in ("inherited", "alone_mean"))
        alone = np.array([row["alone"] for row in members])
        axes.errorbar(
            x,
            y,
            yerr=np.stack([y - alone.min(1), alone.max(1) - y]),
            fmt="o",
            markersize=5,
            linewidth=1,
            color=GREY if number is None else COLOURS[number % len(COLOURS)],
            label="other networks" if number is None else f"bin at {ms:.3g} ms",
        )
    axes.set_xlabel(f"{figures['metric']}, inherited weights")
    axes.set_ylabel(f"{figures['metric']}, trained alone")
    axes.legend(frameon=False, fontsize=9, loc="upper left")


def _draw_shares(axes: "Axes", figures: Mapping[str, Any]) -> None:
    rows = figures["networks"]
    binned = [row for row in rows if row["bin"] is not None]
    lines = {
        "all pairs": (rows, np.zeros(len(rows), np.int64)),
        "pairs within a bin": (binned, np.array([row["bin"] for row in binned], np.int64)),
    }
    for colour, (label, (members, groups)) in zip(COLOURS, lines.items(), strict=False):
        x, y = (np.array([row[name] for row in members]) for name in ("inherited", "alone_mean"))
        sizes, right, counts = agreement_by_difference(x, y, groups)
        told = counts >= LEAST_PAIRS
        if told.any():
            axes.plot(sizes[told], right[told], color=colour, drawstyle="steps-pre", label=label)
    axes.axhline(_ENOUGH, color=GREY, linestyle="--", linewidth=1)
    axes.axhline(0.5, color=GREY, linestyle=":", linewidth=1)
    axes.set_ylim(0.4, 1.02)
    axes.set_xlabel(f"inherited {figures['metric']} differs by this or more")
    axes.set_ylabel("share of pairs that are right")
    if axes.lines[:-2]:
        axes.legend(frameon=False, fontsize=9, loc="lower right")
