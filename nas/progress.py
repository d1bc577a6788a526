"""How far long work is: one display for all of it, and times as a person says them."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from nas.errors import printable

if TYPE_CHECKING:
    from rich.console import Console


def duration(seconds: float) -> str:
    """Seconds as a person says them: `45 s`, `12 min`, `3 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


class ProgressDisplay:
    """A bar where a console is a terminal, a line now and then elsewhere.

    The clock of its pace only goes forward: setting the machine's time changes nothing.

    Args:
        title: of the work.
        say: takes a line.
        console: where to draw the bar; None for lines in any case.
        total: how much work there is; None where an update says it.
        every: at most one line in so many seconds.
        last: whether a line tells the end, however short the work was.
    """

    def __init__(
        self,
        title: str,
        *,
        say: Callable[[str], None],
        console: "Console | None" = None,
        total: int | None = None,
        every: float = 10.0,
        last: bool = True,
    ) -> None:
        self._title = title
        self._say = say
        self._total = total
        self._every = every
        self._last = last
        self._first = 0
        self._started = self._said = time.monotonic()
        self._bar = _Bar(console, title) if console is not None and console.is_terminal else None

    def begin(self, done: int, total: int | None = None) -> None:
        """Work begins now; what is done before says nothing of its pace."""
        self._first, self._started = done, time.monotonic()
        self.update(done, total, line=None)

    def update(
        self,
        done: int,
        total: int | None = None,
        *,
        detail: str | None = None,
        note: str = "",
        line: str | None = "",
    ) -> None:
        """Show that so much is done.

        Args:
            done, total: of the work, what was done before among it.
            detail: what to say instead of the pace.
            note: what to say after it.
            line: what only a line says besides; None for no line now.
        """
        self._total = self._total if total is None else total
        shown = f"{self._pace(done) if detail is None else detail}   {note}".strip()
        if self._bar is not None:
            self._bar.update(done, self._total, shown)
        elif line is not None and self._is_due(done):
            self._said = time.monotonic()
            count = f"{done:,}" if self._total is None else f"{done:,}/{self._total:,}"
            self._say(f"{self._title} {count}  {shown}  {line}".rstrip())

    def _is_due(self, done: int) -> bool:
        if self._total is not None and done >= self._total:
            return self._last
        return time.monotonic() - self._said >= self._every

    def _pace(self, done: int) -> str:
        """Rate and, of a known end, remaining time; nothing while there is nothing to tell them from."""
        seconds, count = time.monotonic() - self._started, done - self._first
        if count <= 0 or seconds <= 0:
            return ""
        rate = count / seconds
        each = f"{rate:.{rate < 10:d}f}/s" if rate > 1 else f"{1 / rate:.1f} s each"
        return each if self._total is None else f"{each}, {duration((self._total - done) / rate)} left"

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.progress.stop()


class _Bar:
    """Rich's bar; what shows no bar needs no rich (the program of a pack has none)."""

    def __init__(self, console: "Console", title: str) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            console=console,
        )
        self._task = self.progress.add_task(printable(title), total=None, detail="")

    def update(self, done: int, total: int | None, detail: str) -> None:
        self.progress.update(self._task, completed=done, total=total, detail=printable(detail))
