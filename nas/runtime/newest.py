"""The newest frame of a camera or stream: who is slower than it sees fewer frames, not older ones."""

from collections.abc import Iterable, Iterator
from threading import Condition, Thread
from typing import Generic, TypeVar

Item = TypeVar("Item")

_PATIENCE = 5.0
"""Seconds that an item under way may take to come, once nobody wants more."""

_GLANCE = 1.0
"""Seconds after which who waits listens to Ctrl-C on every system."""


class Newest(Generic[Item]):
    """What came last, whenever the next item is asked for; what nobody took in time is passed over.

    A thread takes items as they come. The last one is never passed over.

    Args:
        items: that come by themselves.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        self.passed_over = 0
        """Items that came too fast."""
        self._items = items
        self._changed = Condition()
        self._waiting: list[Item] = []
        self._ended = False
        self._wanted = True
        self._error: BaseException | None = None
        self._thread = Thread(target=self._take, daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Item]:
        """Items until there are no more. Raises what went wrong in getting them."""
        while (item := self._next()) is not None:
            yield item
        if self._error is not None:
            raise self._error

    def close(self) -> bool:
        """Take no more. Whether nothing is under way any longer: what never comes is not waited for."""
        self._wanted = False
        self._thread.join(_PATIENCE)
        return not self._thread.is_alive()

    def _next(self) -> Item | None:
        with self._changed:
            while not self._changed.wait_for(lambda: self._waiting or self._ended, _GLANCE):
                pass
            return self._waiting.pop() if self._waiting else None

    def _take(self) -> None:
        try:
            for item in self._items:
                with self._changed:
                    self.passed_over += len(self._waiting)
                    self._waiting = [item]
                    self._changed.notify()
                if not self._wanted:
                    break
        except BaseException as error:  # is raised where the items are taken
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify()
