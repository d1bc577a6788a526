"""Console output shared by the commands: figures go to stdout, progress and remarks to stderr.

What users named (files, networks, joints) is shown as it is: nothing is markup, and what cannot be printed is
escaped.
"""

import json
import logging
import math
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, TextIO

from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

from nas.errors import printable

_FILE_WIDTH = 140
"""Where output goes into a file or a pipe, which has no width of its own."""


class PlainConsole(Console):
    """Prints text as it is: brackets are no markup, control characters reach no terminal."""

    def __init__(self, *, stderr: bool, quiet: bool = False) -> None:
        super().__init__(
            stderr=stderr,
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=True,
            width=None if (sys.stderr if stderr else sys.stdout).isatty() else _FILE_WIDTH,
            quiet=quiet,
        )

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich's, with texts made printable; line breaks around a text are kept."""
        super().print(*(_line(item) if isinstance(item, str) else item for item in objects), **options)


def open_streams() -> None:
    """Give a process whose standard streams are closed empty ones, so that no file takes their places."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if name == "stdin" else "w", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def end_stream(stream: TextIO) -> OSError | None:
    """Write out what a standard stream holds; why that fails, if it does. Afterwards it ends quietly."""
    try:
        stream.flush()
    except OSError as error:
        # What is left in the buffer would fail again, with a traceback, when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return error
    return None


open_streams()
# Of the processes that torchrun or srun start, the first one prints results.
out = PlainConsole(
    stderr=False, quiet=any(os.environ.get(name, "0") != "0" for name in ("RANK", "SLURM_PROCID"))
)
err = PlainConsole(stderr=True)


def say(text: str = "", *, style: str | None = None) -> None:
    """Print a line that belongs to the result; `style` is rich's, for all of it."""
    out.print(text, style=style)


def print_json(data: Any) -> None:
    """Print one JSON document and nothing else; not-a-number becomes null, which JSON can say."""
    if out.quiet:
        return
    print(json.dumps(_without_nan(data), indent=2, allow_nan=False))


def print_table(
    title: str | None, columns: Sequence[str], rows: Iterable[Sequence[object]], *, text_columns: int = 1
) -> None:
    """Print a table; the first `text_columns` columns hold text, the others figures, aligned right."""
    out.print(make_table(title, columns, rows, text_columns=text_columns))


def make_table(
    title: str | None, columns: Sequence[str], rows: Iterable[Sequence[object]], *, text_columns: int = 1
) -> Table:
    """The table that `print_table` prints, for other plain consoles and for files."""
    table = Table(
        title=title and printable(title), title_justify="left", header_style="bold", box=None, pad_edge=False
    )
    for position, column in enumerate(columns):
        text = position < text_columns
        table.add_column(column, justify="left" if text else "right", overflow="fold", no_wrap=position == 0)
    for row in rows:
        table.add_row(*(printable(format_cell(cell)) for cell in row))
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
    with suppress(OSError):  # nowhere is left to say that stderr takes nothing
        err.print(message)


def log_to_console() -> None:
    """Send the package's log messages to stderr."""
    handler: logging.Handler = logging.StreamHandler()
    if err.is_terminal:
        # Writes above a progress bar; into a file it would pad every line.
        handler = RichHandler(console=err, show_path=False, show_level=False, show_time=False, markup=False)
    handler.setFormatter(_PrintableFormatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.raiseExceptions = False  # a closed stderr loses messages; that is no reason for a traceback
    for chatty in ("lightning_fabric", "faster_coco_eval"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


class _PrintableFormatter(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return printable(super().formatMessage(record))


def _line(text: str) -> str:
    before, after = len(text) - len(text.lstrip("\n")), len(text.rstrip("\n"))
    return text[:before] + printable(text[before:after]) + text[after:] if after > before else text


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
