"""Memory that runs out and processes that are lost, told as one line."""

import errno
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import walk_tb

import cv2

from nas.errors import UserError
from nas.runs.config import Recipe

_NO_MEMORY = re.compile(
    r"out of memory|(not enough|insufficient) memory|can't allocate memory|cannot allocate memory|bad_alloc"
    r"|DataLoader worker .* (is killed by signal: (Killed|Bus error)|out of shared memory)"
    r"|No space left on device.*shm|unable to (mmap|allocate) .*(bytes|shared memory)",
    re.IGNORECASE,
)
"""How torch, its allocators and its loader's workers say that memory ran out."""

_WORKER_GONE = re.compile(
    r"DataLoader worker \(pid.*?\) (?:is )?(killed by signal: [\w ]+\w|exited unexpectedly)"
)
"""What torch raises, wherever the main process happens to be, when a worker that prepares images is gone."""

_PEER_GONE = re.compile(
    r"Connection (closed|reset) by peer|Broken pipe|Timed out waiting|remote process exited"
)
"""How gloo and NCCL say that another process of the training is gone, or stuck."""


class LostProcessError(UserError):
    """Another process of a training is gone, or stuck."""


@contextmanager
def memory_for(recipe: Recipe, *, device: str = "cpu") -> Iterator[None]:
    """Within, running out of memory becomes a UserError that says which settings to lower.

    So does the loss of a worker, or of another process of the training, from which it can go on.

    Args:
        recipe: whose values the message names.
        device: where the network is: "cpu" or "cuda".
    """
    try:
        with _losses_in_finalizers():
            yield
    except Exception as error:
        if is_out_of_memory(error):
            raise UserError(_too_large(recipe, device, error)) from None
        if gone := lost_process(error):
            raise LostProcessError(gone) from None
        raise


@contextmanager
def _losses_in_finalizers() -> Iterator[None]:
    """Within, a lost worker is not shown as an error of the finalizer that torch's alarm happened to hit.

    The loader says it once more when it is asked for the next batch.
    """
    former = sys.unraisablehook

    def tell(found: "sys.UnraisableHookArgs") -> None:
        if found.exc_value is None or lost_process(found.exc_value) is None:
            former(found)

    sys.unraisablehook = tell
    try:
        yield
    finally:
        sys.unraisablehook = former


def lost_process(error: BaseException) -> str | None:
    """What an exception says of a process that is gone, and how to go on; None where it says nothing."""
    if gone := _lost_worker(error):
        return (
            f"a process that prepares images is gone ({gone}), perhaps for want of memory; the same "
            "command goes on from the last checkpoint. With data.workers at 0 there are none, and the same "
            "results"
        )
    if not isinstance(error, RuntimeError):
        return None
    if _PEER_GONE.search(str(error)):
        return (
            "another process of this training is gone or stuck, which its own messages may explain; the same "
            "command goes on from the last checkpoint"
        )
    return None


def _lost_worker(error: BaseException) -> str | None:
    """How a worker went, if an exception tells of one.

    A connection to a worker breaks a moment before the system says that the worker is gone. What is asked
    of the worker in that moment (the files behind its tensors) fails as the connection does.
    """
    if isinstance(error, RuntimeError):
        found = _WORKER_GONE.search(str(error))
        return found[1] if found else None
    if not isinstance(error, ConnectionError | EOFError | FileNotFoundError):
        return None
    modules = (frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__))
    if any(module.startswith("multiprocessing.") for module in modules):
        return "the connection to it broke"
    return None


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
    if device != "cpu" and not _WORKER_GONE.search(reason):
        return f"out of memory on {device} ({reason}): start a new run with {smaller}"
    return (
        f"out of memory ({reason}): the same command goes on from the last checkpoint, in less memory with "
        "data.workers or data.cache_mib at 0, which change no result; where that is not enough, start a new "
        f"run with {smaller}"
    )
