"""The processes of a training: work that they share out, and what the first one does for all of them."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric

from nas.errors import UserError
from nas.locks import sole_process

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


def alone_in(folder: Path, fabric: Fabric) -> AbstractContextManager[None]:
    """Keeps all other trainings out of a folder; the first process of this one does so for all of them."""
    return sole_process(folder) if fabric.is_global_zero else nullcontext()


def on_first_process(fabric: Fabric, action: Callable[[], _T]) -> _T:
    """Run an action on the first process, then, with its files in place, on the others.

    Where the action raises UserError on the first, the others end quietly with it.
    """
    mistake: str | None = None
    if fabric.is_global_zero:
        try:
            result = action()
        except UserError as error:
            mistake = str(error)
    # What went wrong there ends all processes alike, instead of leaving them waiting for it.
    mistake = fabric.broadcast(mistake)
    if mistake is not None and fabric.is_global_zero:
        raise UserError(mistake)
    if mistake is not None:
        raise SystemExit(2)  # the first process says it
    if not fabric.is_global_zero:
        result = action()
    return result
