"""What all plots of a report share: size, colours, axes."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import numpy as np

from nas.errors import UserError
from nas.files import replacing


@contextmanager
def _away_from_home() -> Iterator[None]:
    """Within, matplotlib leaves its list of fonts in no folder that stays, unless the user named one."""
    if "MPLCONFIGDIR" in os.environ:
        yield
        return
    with TemporaryDirectory() as folder:
        os.environ["MPLCONFIGDIR"] = folder
        try:
            yield
        finally:
            del os.environ["MPLCONFIGDIR"]


# It makes the list when it is imported: nothing else here imports it, except for type checkers.
with _away_from_home():
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import (
        FixedLocator,
        FuncFormatter,
        LogLocator,
        MaxNLocator,
        NullFormatter,
        NullLocator,
    )

COLOURS = ("#2166ac", "#b2182b", "#1b7837", "#e08214", "#762a83", "#525252", "#35978f", "#bf812d")
GREY = "#9a9a9a"
_DPI = 160
_NARROW, _WIDE = 2.5, 15.0


def new_figure(width: float = 7.0, height: float = 5.0, *, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A white figure of so many inches with axes side by side; belongs to no window and no global state."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, columns))
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
        one.grid(visible=True, color="#e6e6e6", linewidth=0.8)
        one.set_axisbelow(True)
    return figure, list(axes)


def use_log_axis(axis: Any, low: float, high: float) -> None:
    """Make an axis (`axes.xaxis`, `axes.yaxis`) logarithmic, with plain, round numbers."""
    name = axis.axis_name
    getattr(axis.axes, f"set_{name}scale")("log")
    getattr(axis.axes, f"set_{name}lim")(low, high)
    if high / low < _NARROW:
        ticks = [tick for tick in MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high) if tick > 0]
        axis.set_major_locator(FixedLocator(ticks))
    else:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low > _WIDE else (1, 1.5, 2, 3, 4, 5, 7)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def save(figure: Figure, target: Path | IO[bytes]) -> None:
    """Write a figure; the suffix of a path says the format, a stream gets PNG.

    Raises UserError for an unknown format, and where the file cannot be written.
    """
    if isinstance(target, Path):
        suffix = target.suffix.lower().removeprefix(".")
        if suffix not in figure.canvas.get_supported_filetypes():
            raise UserError(f"{target}: plots are written as .png, .svg or .pdf")
        with replacing(target) as draft:
            figure.savefig(draft, dpi=_DPI, facecolor="white", format=suffix)
    else:
        figure.savefig(target, dpi=_DPI, facecolor="white", format="png")


def png(figure: Figure) -> bytes:
    """A figure as PNG."""
    stream = io.BytesIO()
    save(figure, stream)
    return stream.getvalue()
