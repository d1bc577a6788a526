"""Console output shared by the commands: figures go to stdout, progress and remarks to stderr."""

import json
import logging
import math
import os
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.table import Table

_SECONDS_PER_LINE = 5.0

_FILE_WIDTH = 140
"""Where output goes into a file or a pipe, which has no width of its own."""


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _FILE_WIDTH
    # Of the processes that torchrun or srun start, the first one prints results.
    others = any(os.environ.get(name, "0") != "0" for name in ("RANK", "SLURM_PROCID"))
    quiet = others and not stderr
    return Console(stderr=stderr, highlight=False, soft_wrap=True, width=width, quiet=quiet)


out = _console(stderr=False)
err = _console(stderr=True)


def print_json(data: Any) -> None:
    """Print one JSON document and nothing else; not-a-number becomes null, which JSON can say."""
    print(json.dumps(_without_nan(data), indent=2, allow_nan=False))


def print_table(
    title: str | None, columns: Sequence[str], rows: Iterable[Sequence[object]], *, text_columns: int = 1
) -> None:
    """Print a table; the first `text_columns` columns hold text, the others figures, aligned right."""
    out.print(make_table(title, columns, rows, text_columns=text_columns))


def make_table(
    title: str | None, columns: Sequence[str], rows: Iterable[Sequence[object]], *, text_columns: int = 1
) -> Table:
    """The table that `print_table` prints, for other consoles and for files."""
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for position, column in enumerate(columns):
        text = position < text_columns
        table.add_column(column, justify="left" if text else "right", overflow="fold", no_wrap=position == 0)
    for row in rows:
        table.add_row(*(escape(format_cell(cell)) for cell in row))
    return table


def format_cell(value: object) -> str:
    """A table cell: whole numbers with separators, fractions with three decimals, nothing as a dash."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.3f}"
    return str(value)


def remark(message: str) -> None:
    """Tell the user something that is no figure: on stderr, so that it never mixes with `--json`."""
    err.print(message, markup=False)


def log_to_console() -> None:
    """Send the package's log messages to stderr."""
    handler: logging.Handler = logging.StreamHandler()
    if err.is_terminal:
        # Writes above a progress bar; into a file it would pad every line.
        handler = RichHandler(console=err, show_path=False, show_level=False, show_time=False, markup=False)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[handler])
    for chatty in ("lightning_fabric", "faster_coco_eval"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _without_nan(data: Any) -> Any:
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, dict):
        return {str(key): _without_nan(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_without_nan(value) for value in data]
    if hasattr(data, "item"):  # numpy scalars
        return _without_nan(data.item())
    return data


class ProgressLines:
    """Says on stderr now and then how far it is."""

    def __init__(self, noun: str) -> None:
        self._noun = noun
        self._started = self._last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last > _SECONDS_PER_LINE and done < total:
            self._last = now
            rate = done / (now - self._started)
            remark(f"{done:,}/{total:,} {self._noun}, {rate:.0f}/s, {(total - done) / rate:.0f} s left")
