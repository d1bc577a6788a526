"""Memory that runs out, told as one line."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

from nas.errors import UserError
from nas.train.config import Recipe

_NO_MEMORY = re.compile(
    r"out of memory|(not enough|insufficient) memory|can't allocate memory|cannot allocate memory|bad_alloc"
    r"|DataLoader worker .* (is killed by signal: (Killed|Bus error)|out of shared memory)"
    r"|No space left on device.*shm|unable to (mmap|allocate) .*(bytes|shared memory)",
    re.IGNORECASE,
)
"""How torch, its allocators and its loader's workers say that memory ran out."""


@contextmanager
def memory_for(recipe: Recipe, *, device: str = "cpu") -> Iterator[None]:
    """Within, running out of memory becomes a UserError that says which settings to lower.

    Args:
        recipe: whose values the message names.
        device: where the network is: "cpu" or "cuda".
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(_too_large(recipe, device, error)) from None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on the device or in a worker."""
    if isinstance(error, MemoryError):
        return True
    # The loader says that a worker "exited unexpectedly", and why only in what it was raised from.
    if error.__cause__ is not None and is_out_of_memory(error.__cause__):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    # torch.OutOfMemoryError, of other devices than the CPU, is a RuntimeError too.
    return isinstance(error, RuntimeError | cv2.error) and _NO_MEMORY.search(str(error)) is not None


def _too_large(recipe: Recipe, device: str, error: BaseException) -> str:
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    smaller = (
        f"a smaller batch ({recipe.batch} now), more parts of it (accumulate, {recipe.accumulate} now) or "
        "narrower resolutions"
    )
    if device != "cpu":
        return f"out of memory on {device} ({reason}): start a new run with {smaller}"
    return (
        f"out of memory ({reason}): go on with --set data.workers=0 or --set data.cache_mib=0, which change "
        f"no result; where that is not enough, start a new run with {smaller}"
    )
