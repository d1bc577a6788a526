"""Work that is shared out over the processes of a training."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric

_T = TypeVar("_T")
_R = TypeVar("_R")


def my_part(fabric: Fabric | None, count: int) -> range:
    """Which of `count` things are this process's: one stretch of them, as long as the others' or one shorter.

    All of them without a fabric.
    """
    if fabric is None:
        return range(count)
    ends = np.linspace(0, count, fabric.world_size + 1).round().astype(int).tolist()
    return range(ends[fabric.global_rank], ends[fabric.global_rank + 1])


def gather(fabric: Fabric | None, mine: _T) -> list[_T]:
    """What every process has, in the order of processes; all have to call it. Tensors must be on the CPU."""
    if fabric is None or fabric.world_size == 1:
        return [mine]
    everywhere: list[Any] = [None] * fabric.world_size
    torch.distributed.all_gather_object(everywhere, mine)
    return everywhere


def spread(fabric: Fabric | None, items: Sequence[_T], work: Callable[[_T], _R]) -> list[_R]:
    """`work` done once for each item, by one process each; every process gets all results, in order."""
    mine = [work(items[index]) for index in my_part(fabric, len(items))]
    return list(chain.from_iterable(gather(fabric, mine)))
