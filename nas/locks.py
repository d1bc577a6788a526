"""One process at a time in a folder or a file: locks that end with their process, however that ends."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout, lock_descriptor

from nas.errors import UserError
from nas.files import NOT_OFFERED, sweep, writing

_FILE = ".lock"
_MARKER = ".lock-owner"
"""Where the file system has no locks: a file whose process is gone counts for nothing."""


@contextmanager
def sole_process(folder: Path) -> Iterator[None]:
    """Within, no other process can enter the same folder, nor this one once more.

    What processes before it were writing there when they were killed is removed.

    Raises:
        UserError: another process is in the folder, or the folder cannot be written.
    """
    path = folder / _FILE
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = _acquired(folder)
        except Timeout:
            raise _occupied(folder) from None
    try:
        sweep(folder)
        with suppress(OSError):  # who it is only serves the message
            path.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        yield
    finally:
        # The file stays, empty: to remove it could take it from under a process that just opened it.
        with suppress(OSError):
            os.truncate(path, 0)
        lock.release()


def lock_file(handle: int, path: Path) -> None:
    """Keep other processes from writing an open file, where the system has such locks; closing it ends that.

    Raises UserError where another process has it.
    """
    try:
        locked = lock_descriptor(handle, blocking=False)
    except OSError as error:
        if error.errno not in NOT_OFFERED:
            raise UserError(f"{path}: cannot be locked ({error.strerror})") from None
        return
    if not locked:
        raise UserError(f"{path} is being written by another process; wait for it, or name another file")


@contextmanager
def taking_turns(path: Path) -> Iterator[None]:
    """Within, no other process that asks for the same file is; it waits, where the system has such locks.

    Args:
        path: of an empty file for the lock alone, in a folder that exists.
    """
    with ExitStack() as held:
        with writing(path):
            file = held.enter_context(path.open("ab"))
            try:
                lock_descriptor(file.fileno(), blocking=True)
            except OSError as error:
                if error.errno not in NOT_OFFERED:
                    raise
        yield


def _acquired(folder: Path) -> BaseFileLock:
    try:
        lock: BaseFileLock = FileLock(folder / _FILE, timeout=0, fallback_to_soft=False)
        lock.acquire()
    except OSError as error:
        if isinstance(error, Timeout) or error.errno not in NOT_OFFERED:
            raise
        lock = SoftFileLock(folder / _MARKER, timeout=0)
        lock.acquire()
    return lock


def _occupied(folder: Path) -> UserError:
    try:
        owner = json.loads((folder / _FILE).read_text())
        by = f"process {int(owner['pid'])} on {owner['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        by = "another process"
    return UserError(f"{folder} is being written by {by}: wait for it, stop it, or choose another name")
