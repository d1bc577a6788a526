"""The threads that torch's own operations run on, for loops of ours.

OpenMP keeps its threads awake for a moment between one operation and the next; a thread of another pool has
to be woken up each time, which takes a virtual machine longer than most loops take.
"""

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import torch


def run_together(loop: Any, job: int, *, threads: int) -> None:
    """Call a C function with the address of its job: on this thread and, at the same time, on others."""
    team = _torchs_team() if threads > 1 else None
    if threads == 1:
        loop(job)
    elif team is not None:
        team(loop, job, threads, 0)
    else:
        others = [_pool(threads - 1).submit(loop, job) for _ in range(1, threads)]
        loop(job)
        for other in others:
            other.result()


@cache
def _torchs_team() -> Callable[[Any, int, int, int], object] | None:
    """`GOMP_parallel` of the OpenMP that torch was linked with; None where that has no such thing."""
    try:
        # What a library was linked with is looked through as well.
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        team = library.GOMP_parallel
    except (OSError, AttributeError):
        return None
    team.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    team.restype = None
    return team


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="compiled")
