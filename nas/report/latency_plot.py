"""Predicted against measured milliseconds."""

from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas.report.charts import BAND
from nas.report.figures import COLOURS, GREY, new_figure, save, use_log_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARGIN = 1.12


def plot_predicted(
    path: Path | IO[bytes],
    *,
    predicted: ArrayLike,
    measured: ArrayLike,
    title: str,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    groups: Sequence[str] | None = None,
) -> None:
    """Draw predicted over measured times on logarithmic axes, with the diagonal and a band of 10 % about it.

    Args:
        path: of the picture, the suffix says its format; or a stream that gets PNG.
        predicted, measured: [N] ms.
        title: above the plot.
        low, high: [N] ms, bounds of the predictions; drawn as bars.
        groups: [N] names for the legend. Points of a group whose name contains "finalist" are stars, those
            of a group whose name contains "loaded" are hollow.

    Raises:
        ValueError: no points, sizes that differ, or times that are not positive.
    """
    x, y = np.asarray(measured, np.float64), np.asarray(predicted, np.float64)
    _check(x, y, low, high, groups)
    figure, (axes,) = new_figure(6.4, 6.0)
    least, most = min(x.min(), y.min()) / _MARGIN, max(x.max(), y.max()) * _MARGIN
    for axis in (axes.xaxis, axes.yaxis):
        use_log_axis(axis, least, most)
    axes.set_aspect("equal")
    _draw_diagonal(axes, least, most)
    names = list(groups) if groups is not None else ["networks"] * len(x)
    for number, name in enumerate(dict.fromkeys(names)):
        rows = np.array([other == name for other in names])
        bounds = None
        if low is not None and high is not None:
            bounds = (np.asarray(low, np.float64)[rows], np.asarray(high, np.float64)[rows])
        _draw_group(axes, x[rows], y[rows], bounds, name=name, colour=COLOURS[number % len(COLOURS)])
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


def _check(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    low: ArrayLike | None,
    high: ArrayLike | None,
    groups: Sequence[str] | None,
) -> None:
    others = [np.asarray(values) for values in (low, high) if values is not None]
    if x.ndim != 1 or not len(x) or any(other.shape != x.shape for other in (y, *others)):
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


def _draw_group(
    axes: "Axes",
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    bounds: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
    *,
    name: str,
    colour: str,
) -> None:
    star, hollow = "finalist" in name, "loaded" in name
    if bounds is not None:
        # Where a bound is not known, no bar is drawn.
        lengths = np.clip(np.nan_to_num(np.stack([y - bounds[0], bounds[1] - y])), 0, None)
        axes.errorbar(x, y, lengths, fmt="none", ecolor=colour, alpha=0.35, linewidth=1, zorder=2)
    style: dict[str, Any] = {"facecolors": "white" if hollow else colour, "edgecolors": colour}
    axes.scatter(
        x,
        y,
        s=130 if star else 26,
        marker="*" if star else "o",
        linewidths=1.2 if hollow else 0.6,
        alpha=0.95 if star or hollow else 0.75,
        zorder=4 if star else 3,
        label=f"{name} ({len(x)})",
        **style,
    )
