"""Files of JSON lines that are appended to: what a killed process left, locks, and flushing to the disk."""

import errno
import io
import json
import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from nas.errors import UserError

# What systems answer that lack locks or flushing on this kind of file system (a phone's shared storage).
_NOT_OFFERED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK})


def complete(content: bytes) -> int:
    """The length up to the last line that was written to its end."""
    return content.rfind(b"\n") + 1


def rows(content: bytes, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number (from 1) and content of every line. Raises UserError for a line that is no JSON object."""
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            row = json.loads(line, parse_constant=_refuse, parse_float=_finite)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise UserError(f"{path}, line {number}: not a row of a latency table; remove the line")
        yield number, row


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def lock(file: io.FileIO, path: Path) -> None:
    """Keep a second measuring process out, where the system has such locks; closing the file releases it."""
    with suppress(ImportError):
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NOT_OFFERED:
                return
            raise UserError(
                f"{path} is being written by another process; wait for it or give another --table"
            ) from None


def append(file: io.FileIO, row: dict[str, Any], path: Path) -> None:
    """Write one row and have it put on the disk, where the file system can.

    Raises UserError where it does not fit; what was written of it is taken back.
    """
    line = (json.dumps(row, separators=(",", ":")) + "\n").encode()
    end = file.seek(0, io.SEEK_END)
    try:
        written = file.write(line)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
    if written != len(line):
        file.truncate(end)
        raise UserError(f"cannot write {path}: the disk is full")
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            file.truncate(end)
            raise UserError(f"cannot write {path}: {error.strerror}") from None
