"""One process at a time in a folder: a lock that ends with its process, however that ends."""

import errno
import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nas.errors import UserError
from nas.train.faults import writing

_FILE = ".lock"

_NOT_OFFERED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK})
"""What file systems answer that have no locks."""

_held: set[str] = set()
_guard = threading.Lock()


@contextmanager
def sole_process(folder: Path) -> Iterator[None]:
    """Within, no other process can enter the same folder.

    The lock is the system's where it has one (POSIX record locks: worker processes do not inherit them, so
    that it ends with this process even where they outlive it for a moment). Elsewhere the file names the
    process, and a file whose process is gone counts for nothing.

    Raises:
        UserError: another process is in the folder, or the folder cannot be written.
    """
    path = folder / _FILE
    name = str(path.resolve())
    with _guard:
        if name in _held:
            # Not a word read from the file: closing it would end the lock that this process has on it.
            raise _occupied(folder, _me())
        _held.add(name)
    try:
        with _locked(folder, path):
            yield
    finally:
        with _guard:
            _held.discard(name)


@contextmanager
def _locked(folder: Path, path: Path) -> Iterator[None]:
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _lock(handle, folder, path):
            _claim(folder, path)
        with writing(folder):
            os.ftruncate(handle, 0)
            os.write(handle, json.dumps(_me()).encode())
        try:
            yield
        finally:
            # The file stays, empty: to remove it could take it from under a process that just opened it.
            with suppress(OSError):
                os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path, path: Path) -> bool:
    """Take the system's lock; False where there is none to take. Raises UserError where it is taken."""
    try:
        import fcntl
    except ImportError:
        return False
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _NOT_OFFERED:
            return False
        if error.errno in (errno.EACCES, errno.EAGAIN):
            raise _occupied(folder, _owner(path)) from None
        raise UserError(f"{path}: cannot be locked ({error.strerror})") from None
    return True


def _claim(folder: Path, path: Path) -> None:
    """Without locks: raises UserError where the process that the file names is alive, here or elsewhere."""
    owner = _owner(path)
    if not owner or owner.get("pid") == os.getpid():
        return
    if owner.get("host") != socket.gethostname() or is_alive(int(owner["pid"])):
        raise _occupied(folder, owner, hint=f" (if it does not run any more, delete {path})")


def _occupied(folder: Path, owner: dict[str, Any], hint: str = "") -> UserError:
    by = f"process {owner['pid']} on {owner['host']}" if owner else "another process"
    return UserError(
        f"{folder} is being written by {by}: wait for it, stop it, or choose another --name{hint}"
    )


def _me() -> dict[str, Any]:
    return {"pid": os.getpid(), "host": socket.gethostname()}


def _owner(path: Path) -> dict[str, Any]:
    try:
        owner = json.loads(path.read_text())
        return {"pid": int(owner["pid"]), "host": str(owner["host"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def is_alive(pid: int) -> bool:
    """Whether a process of this machine exists."""
    if sys.platform == "win32":
        import ctypes

        handle = ctypes.windll.kernel32.OpenProcess(0x1000, False, pid)
        if handle:
            ctypes.windll.kernel32.CloseHandle(handle)
        return bool(handle)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
