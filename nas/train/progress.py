"""What a person at the terminal sees of a training run."""

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from nas.errors import printable

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_SHOWN = ("/largest", "/smallest", "/labels")
"""Ends of the names of losses that a line shows; the metrics file has all."""

_LINE_SECONDS = 15.0
"""Where the output is no terminal, at most one line in so many seconds."""

_MUCH_WAITING = 0.1
"""A run that waits for its data for a larger share of the time is told so."""


def duration(seconds: float) -> str:
    """Seconds as a person says them: `45 s`, `12 min`, `3 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


class Rate:
    """Steps per second over the last hundred; the first two, which warm caches up, do not count.

    By a clock that only goes forward: setting the machine's time changes nothing.
    """

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=100)
        self._waited: deque[float] = deque(maxlen=100)
        self._waits = 0.0
        self._ignored = 2
        self.restart()

    def restart(self) -> None:
        """Leave out the time since the last step."""
        self._started = time.perf_counter()
        self._waits = 0.0

    def waiting(self, data: Iterable[_T]) -> Iterator[_T]:
        """The same items; the time until each is there counts as waited for."""
        iterator = iter(data)
        while True:
            asked = time.perf_counter()
            try:
                item = next(iterator)
            except StopIteration:
                return
            self._waits += time.perf_counter() - asked
            yield item

    def step(self) -> None:
        """One step is done."""
        seconds = time.perf_counter() - self._started
        if self._ignored:
            self._ignored -= 1
        else:
            self._seconds.append(seconds)
            self._waited.append(self._waits)

    @property
    def per_second(self) -> float:
        """Steps per second; 0 while there is nothing to tell it from."""
        seconds = sum(self._seconds)
        return len(self._seconds) / seconds if seconds > 0 else 0.0

    @property
    def data_wait(self) -> float:
        """The share of the time in which steps waited for data; 0 while there is nothing to tell it from."""
        seconds = sum(self._seconds)
        return sum(self._waited) / seconds if seconds > 0 else 0.0


class ProgressDisplay:
    """A bar where a console is a terminal, lines in the log elsewhere.

    Args:
        console: where to draw the bar; None for the log.
        title: what is trained.
        total, done: steps.
        batch: images per step.
    """

    def __init__(self, console: Console | None, title: str, *, total: int, done: int, batch: int) -> None:
        self._title = title
        self._total = total
        self._batch = batch
        self._last_line = time.perf_counter()
        self._bar: Progress | None = None
        if console is not None and console.is_terminal:
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[detail]}", markup=False),
            )
            self._bar = Progress(*columns, console=console)
            self._task = self._bar.add_task(printable(title), total=total, completed=done, detail="")

    def update(self, step: int, rate: Rate, line: Mapping[str, float]) -> None:
        """Show that `step` steps are done; `line` is what the metrics say of it, if anything."""
        detail = self._detail(step, rate)
        if self._bar is not None:
            self._bar.update(self._task, completed=step, detail=detail)
            return
        now = time.perf_counter()
        if line and (now - self._last_line >= _LINE_SECONDS or step == self._total):
            self._last_line = now
            shown = "  ".join(f"{name} {value:.4g}" for name, value in line.items() if name.endswith(_SHOWN))
            _log.info("%s %d/%d  %s  %s", self._title, step, self._total, detail, shown)

    def _detail(self, step: int, rate: Rate) -> str:
        if not rate.per_second:
            return ""
        left = duration((self._total - step) / rate.per_second)
        waits = f", {rate.data_wait:.0%} waiting for data" if rate.data_wait > _MUCH_WAITING else ""
        return f"{self._batch * rate.per_second:.0f} images/s, {left} left{waits}"

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
