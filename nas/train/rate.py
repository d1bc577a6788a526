"""How fast a training goes."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeVar

from nas.progress import duration

_T = TypeVar("_T")

_MUCH_WAITING = 0.1
"""A training that waits for its data for a larger share of the time is told so."""


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

    def told(self, *, batch: int, left: float) -> str:
        """For a line: images per second, the `left` seconds to the end, and much waiting for data."""
        if not self.per_second:
            return ""
        waits = f", {self.data_wait:.0%} waiting for data" if self.data_wait > _MUCH_WAITING else ""
        return f"{batch * self.per_second:.0f} images/s, {duration(left)} left{waits}"
