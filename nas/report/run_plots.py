"""Plots of one run: accuracy against latency, training curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.report.figures import COLOURS, GREY, new_figure, png, use_log_axis
from nas.runs.metrics import PLACE_OF_RANDOM

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SMOOTH = 0.02
_NO_LOSSES = ("val/", "weight/", "gradient_norm/", PLACE_OF_RANDOM)


@dataclass(frozen=True)
class Point:
    """A network in the plot of accuracy against latency."""

    ms: float
    accuracy: float
    name: str = ""


def plot_accuracy(
    scored: Sequence[Point],
    front: Sequence[Point],
    winners: Sequence[Point],
    *,
    stopped: Sequence[Point] = (),
    metric: str,
    budgets_ms: Sequence[float],
    measured: bool = True,
) -> bytes:
    """PNG: accuracy with inherited weights over predicted ms, Pareto front, budgets, winners as measured.

    Args:
        scored: every scored network, by predicted ms.
        front: the Pareto front of them.
        winners: subnets, by measured ms, or by predicted ones where nothing was `measured`.
        stopped: networks that were stopped early, their accuracies estimates.
        metric: name of the accuracy.
        budgets_ms: drawn as vertical lines.
        measured: whether the winners' times were.
    """
    figure, (axes,) = new_figure(7.4, 4.8)
    times = np.array([point.ms for point in (*scored, *stopped, *front, *winners)] + list(budgets_ms))
    use_log_axis(axes.xaxis, times.min() / 1.08, times.max() * 1.08)
    for budget in budgets_ms:
        axes.axvline(budget, color=GREY, linestyle="--", linewidth=1)
        axes.text(budget, 1.0, f" {budget:g} ms", transform=axes.get_xaxis_transform(), va="top", ha="right",
                  rotation=90, fontsize=8, color="#555555")  # fmt: skip
    _scatter(axes, scored, label=f"scored ({len(scored)})", color=COLOURS[0], s=16, alpha=0.5)
    _scatter(axes, stopped, label=f"stopped early ({len(stopped)})", color=GREY, s=12, alpha=0.6)
    steps = sorted(front, key=lambda point: point.ms)
    axes.plot(
        [point.ms for point in steps],
        [point.accuracy for point in steps],
        color=COLOURS[1],
        linewidth=1.4,
        drawstyle="steps-post",
        label="Pareto front",
    )
    how = "measured" if measured else "predicted"
    _scatter(axes, winners, label=f"subnets, as {how}", color=COLOURS[3], s=150, marker="*", zorder=4)
    axes.set_xlabel("ms end to end (scored: predicted)")
    axes.set_ylabel(f"{metric}, inherited weights")
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    return png(figure)


def plot_training(rows: Sequence[Mapping[str, float | int | None]]) -> bytes:
    """PNG: losses over steps, and scores on the validation set where some were taken.

    Args:
        rows: lines of `metrics.jsonl`. Losses are named `HEAD/WHOSE`, scores `val/NETWORK/FIGURE`.
    """
    names = sorted({name for row in rows for name in row if "/" in name})
    losses = [name for name in names if not name.startswith(_NO_LOSSES)]
    scores = [name for name in names if name.startswith("val/")]
    panels = [part for part in (losses, scores) if part]
    figure, all_axes = new_figure(7.4 if len(panels) < 2 else 11.0, 4.2, columns=max(1, len(panels)))
    for axes, part in zip(all_axes, panels, strict=False):
        for number, name in enumerate(part):
            _draw_curve(axes, rows, name, number=number, smooth=part is losses)
        axes.set_xlabel("step")
        axes.legend(frameon=False, fontsize=8)
    if losses:
        all_axes[0].set_ylabel("loss")
        all_axes[0].set_yscale(_loss_scale(rows, losses))
    if scores:
        all_axes[len(panels) - 1].set_ylabel("score on validation images")
    return png(figure)


def _loss_scale(rows: Sequence[Mapping[str, float | int | None]], names: Sequence[str]) -> str:
    """Logarithmic, but for likelihoods, which may be negative: linear around 0 then."""
    values = [value for row in rows for name in names if (value := row.get(name)) is not None]
    return "log" if min(values) > 0 else "symlog"


def _scatter(axes: "Axes", points: Sequence[Point], *, label: str, **style: Any) -> None:
    if points:
        axes.scatter([p.ms for p in points], [p.accuracy for p in points], label=label, linewidths=0, **style)


def _draw_curve(
    axes: "Axes", rows: Sequence[Mapping[str, float | int | None]], name: str, *, number: int, smooth: bool
) -> None:
    found = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
    steps, values = (np.array(column, np.float64) for column in zip(*found, strict=True))
    colour = COLOURS[number % len(COLOURS)]
    style = "-" if number < len(COLOURS) else "--"
    width = max(1, round(_SMOOTH * len(values))) if smooth else 1
    if width > 1:
        axes.plot(steps, values, color=colour, alpha=0.15, linewidth=0.8)
        kernel = np.ones(width)
        # At both ends the mean is over what there is.
        values = np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")
    axes.plot(steps, values, style, color=colour, linewidth=1.4, label=name, marker="" if smooth else ".")
