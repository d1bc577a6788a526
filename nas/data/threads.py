"""The same work on many files, on all cores."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Progress = Callable[[int, int], None]
"""Called with how many of how many pieces are done."""

_AT_ONCE = 64
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def cores() -> int:
    """As many as this process may run on at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def on_all_cores(
    work: Callable[[_Item], _Result], items: Sequence[_Item], progress: Progress | None = None
) -> Iterator[_Result]:
    """What the work gives for each item, in order."""
    rest, done = iter(items), 0
    with ThreadPoolExecutor(cores()) as pool:
        # In portions, so that Ctrl-C does not wait for all of them.
        while portion := list(islice(rest, _AT_ONCE)):
            yield from pool.map(work, portion)
            done += len(portion)
            if progress is not None:
                progress(done, len(items))
