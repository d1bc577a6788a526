"""Tensors as the loops read them, and their threads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, Any]

PARTS = 8
"""A batch is summed in so many parts, whatever the number of threads: rounding does not depend on them.

Part p of a batch of B images are those from B * p // PARTS on."""

_LEAST = 1 << 20
"""Work that is done before a second thread has begun."""


def available() -> bool:
    """Whether there is a compiler."""
    return find_spec("numba") is not None


def channels_last(tensor: Tensor) -> Array:
    """[B, C, H, W] -> [B, H, W, C], contiguous; a view where it lies so already."""
    array: Array = tensor.detach().permute(0, 2, 3, 1).contiguous().numpy()
    return array


def in_parts(run: Callable[[int, int], object], *, work: int) -> None:
    """Call `run` for all parts, from a first one up to another, on as many threads as torch has.

    Args:
        work: about how many values the loop reads; few are not worth a thread.
    """
    threads = min(torch.get_num_threads(), PARTS) if work >= _LEAST else 1
    bounds = [PARTS * thread // threads for thread in range(threads + 1)]
    others = [
        _pool(threads - 1).submit(run, bounds[thread], bounds[thread + 1]) for thread in range(1, threads)
    ]
    run(0, bounds[1])
    for other in others:
        other.result()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="compiled")
