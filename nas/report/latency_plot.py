"""Predicted against measured milliseconds."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from nas.arrays import Floats
from nas.report.charts import BAND
from nas.report.figures import COLOURS, GREY, new_figure, save, use_log_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARGIN = 1.12


def plot_predicted(
    path: Path,
    *,
    predicted: ArrayLike,
    measured: ArrayLike,
    title: str,
    groups: Sequence[str] | None = None,
) -> None:
    """Draw predicted over measured times on logarithmic axes, with the diagonal and a band of 10 % about it.

    Args:
        path: of the picture, the suffix says its format.
        predicted, measured: [N] ms.
        title: above the plot.
        groups: [N] names for the legend.

    Raises:
        ValueError: no points, sizes that differ, or times that are not positive.
    """
    x, y = np.asarray(measured, np.float64), np.asarray(predicted, np.float64)
    _check(x, y, groups)
    figure, (axes,) = new_figure(6.4, 6.0)
    least, most = min(x.min(), y.min()) / _MARGIN, max(x.max(), y.max()) * _MARGIN
    for axis in (axes.xaxis, axes.yaxis):
        use_log_axis(axis, least, most)
    axes.set_aspect("equal")
    _draw_diagonal(axes, least, most)
    names = list(groups) if groups is not None else ["networks"] * len(x)
    for number, name in enumerate(dict.fromkeys(names)):
        rows = np.array([other == name for other in names])
        label, colour = f"{name} ({rows.sum()})", COLOURS[number % len(COLOURS)]
        axes.scatter(x[rows], y[rows], s=26, linewidths=0.6, alpha=0.75, zorder=3, color=colour, label=label)
    errors = np.abs(y / x - 1)
    axes.set_title(title, loc="left")
    axes.set_xlabel("measured ms")
    axes.set_ylabel("predicted ms")
    axes.text(
        0.98,
        0.02,
        f"{len(x)} networks: mean error {errors.mean():.1%}, {(errors <= BAND).mean():.0%} within {BAND:.0%}",
        transform=axes.transAxes,
        ha="right",
        color="#444444",
        fontsize=9,
    )
    axes.legend(loc="upper left", frameon=False, fontsize=9)
    save(figure, path)


def _check(x: Floats, y: Floats, groups: Sequence[str] | None) -> None:
    if x.ndim != 1 or not len(x) or y.shape != x.shape:
        raise ValueError(f"predicted {y.shape} and measured {x.shape} times must be lists of one length")
    if groups is not None and len(groups) != len(x):
        raise ValueError(f"{len(groups)} groups for {len(x)} networks")
    if not (np.all(x > 0) and np.all(y > 0)):
        raise ValueError("times must be positive")


def _draw_diagonal(axes: "Axes", least: float, most: float) -> None:
    ends = np.array([least, most])
    axes.fill_between(
        ends, ends * (1 - BAND), ends * (1 + BAND), color="#eef3f8", zorder=0, label=f"within {BAND:.0%}"
    )
    axes.plot(ends, ends, color=GREY, linewidth=1, zorder=1)
