"""Writing files: whole or not at all, one process at a time, and nothing lost where the disk is full.

Everything that this project writes goes through here. What the file system refuses is a UserError.
"""

import errno
import io
import json
import math
import os
import platform
import shutil
import stat
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nas.errors import UserError

NOT_OFFERED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK})
"""What file systems answer that cannot lock, or put things on the disk at once."""

DRAFT = ".draft-"
"""In the names of what is being written: machine and process follow. What a killed process leaves has it."""

_MACHINE = f"{zlib.crc32(platform.node().encode()):08x}"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_TAKES_NOTHING = _FULL | {errno.EROFS}
_LONGEST_NAME = 200
"""Bytes: file systems take 255, and names get endings."""


class DiskFullError(UserError):
    """The disk takes nothing at all: it is full, or read-only."""


@contextmanager
def writing(path: Path, *, kept: str = "") -> Iterator[None]:
    """Within, what the file system refuses becomes a UserError that names `path`.

    Args:
        path: what is written.
        kept: what stays as it was, for the message.
    """
    try:
        yield
    except OSError as error:
        kind = DiskFullError if error.errno in _TAKES_NOTHING else UserError
        raise kind(refusal(path, error, kept=kept)) from None


def refusal(path: Path, error: OSError, *, kept: str = "") -> str:
    """A line that says why something cannot be written."""
    stays = f"; {kept}" if kept else ""
    if error.errno in _FULL:
        return (
            f"{path}: the disk is full{stays}. Free some space (or start elsewhere), then the same command "
            "goes on"
        )
    return f"{path}: cannot be written ({error.strerror or error}){stays}"


@contextmanager
def replacing(path: Path | str, *, kept: str = "") -> Iterator[Path]:
    """A draft beside `path` that takes its place at the end, on the disk; what fails leaves `path` as it was.

    Folders above are made. A link is followed: what it names is replaced, not the link.

    Args:
        path: the file.
        kept: what stays as it was, for the message.

    Raises:
        UserError: the disk is full, or refuses.
    """
    path = Path(os.path.realpath(path))
    draft = draft_of(path)
    with writing(path, kept=kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        try:
            yield draft
            flush(draft)
            draft.replace(path)
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path, *, kept: str = "") -> Iterator[Path]:
    """A draft folder beside `path` that becomes it at the end, on the disk; nothing is left where it fails.

    What is at `path` must be an empty folder, or nothing.

    Raises:
        UserError: the disk is full, or refuses.
    """
    draft = draft_of(path)
    with writing(path, kept=kept):
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        try:
            yield draft
            for part in (*draft.rglob("*"), draft):
                flush(part)
            draft.rename(path)
            flush(path.parent)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def write_bytes(path: Path | str, content: bytes, *, kept: str = "") -> None:
    """Write a file whole or not at all. Raises UserError where the disk is full, or refuses."""
    with replacing(path, kept=kept) as draft:
        draft.write_bytes(content)


def write_text(path: Path | str, text: str) -> None:
    """Write a text file (UTF-8) whole or not at all. Raises UserError as `write_bytes` does."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: Path | str, data: Any, *, indent: int | None = 2) -> None:
    """Write JSON whole or not at all; without an indent as short as can be."""
    separators = (",", ":") if indent is None else None
    write_text(path, json.dumps(data, indent=indent, separators=separators) + "\n")


def flush(path: Path) -> None:
    """Have a file or folder put on the disk, where the file system can. Raises OSError."""
    if os.name == "nt":  # neither folders nor files opened for reading can be flushed there
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in NOT_OFFERED:
            raise
    finally:
        os.close(handle)


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name too long to be one is none (`Path.is_file` raises)."""
    return _holds(path.is_file)


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; a name too long to be one is none (`Path.is_dir` raises)."""
    return _holds(path.is_dir)


def is_there(path: Path) -> bool:
    """Whether there is anything of that name; too long a one is none (`Path.exists` raises)."""
    return _holds(path.exists)


def _holds(test: Callable[[], bool]) -> bool:
    try:
        return test()
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return False


def require_writable(folder: Path) -> None:
    """Make a folder, with those above. Raises UserError where it cannot be written into."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def require_file(path: Path, noun: str) -> None:
    """Raise UserError unless there is a file that holds something; `noun` says what kind it should be.

    Devices and pipes are none: reading them may never end.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        raise UserError(f"{path}: no such {noun} file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if stat.S_ISDIR(found.st_mode):
        raise UserError(f"{path}: is a folder, not a {noun} file")
    if not stat.S_ISREG(found.st_mode):
        raise UserError(f"{path}: is no regular file, but a device or a pipe")
    if found.st_size == 0:
        raise UserError(f"{path}: the {noun} file is empty")


def read_rows(path: Path, *, strict: bool = True) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number (from 1) and content of every whole line of a file of JSON lines.

    A last line that a killed process left unfinished is passed over.

    Args:
        path: the file.
        strict: refuse a line that is no JSON object; else it is passed over as well.

    Raises:
        UserError: the file cannot be read, or a line is no object of finite numbers.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    for number, line in enumerate(content[: _whole(content)].splitlines(), start=1):
        row = _row(line)
        if row is not None:
            yield number, row
        elif strict:
            raise UserError(f"{path}, line {number}: not a JSON object of finite numbers; remove the line")


def append_row(path: Path, row: Mapping[str, Any], *, kept: str = "") -> None:
    """Append a JSON line, whole or not at all, and have it put on the disk.

    What a killed process left of a last line is cut off first. Folders above are made.

    Raises:
        UserError: the disk is full, or refuses; the lines before are whole.
    """
    line = (json.dumps(row, separators=(",", ":")) + "\n").encode()
    with writing(path, kept=kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b", buffering=0) as file:
            end = cut_torn_row(file)
            try:
                written = 0
                while written < len(line):
                    written += file.write(line[written:])
                flush(path)
            except OSError:
                file.truncate(end)
                raise


def cut_torn_row(file: io.FileIO) -> int:
    """Cut off what follows the last whole line of an open file. Returns the length that stays."""
    size, tail = file.seek(0, io.SEEK_END), 1
    while size:
        start = max(0, size - tail)
        file.seek(start)
        end = _whole(file.read(size - start))
        if end or not start:
            size = start + end
            break
        tail *= 1024
    file.truncate(size)
    return size


def _whole(content: bytes) -> int:
    """The length up to the last line that was written to its end."""
    return content.rfind(b"\n") + 1


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def name_fault(name: str) -> str | None:
    """Why a name cannot become that of a file or folder in a given folder; None where it can."""
    reserved = not name.strip() or name in (".", "..") or len(name.encode("utf-8", "replace")) > _LONGEST_NAME
    if not reserved and not {"/", "\\"}.intersection(name) and name.isprintable():
        return None
    return (
        f"{name[:_LONGEST_NAME]!r} cannot name a file; use a name without slashes and control characters, of "
        f"at most {_LONGEST_NAME} bytes"
    )


def one_component(name: str, what: str) -> str:
    """The name itself, which may become that of a file or folder.

    Args:
        name: of something.
        what: it names, for the message.

    Raises:
        UserError: it would lead into another folder, or is no name of a file.
    """
    if fault := name_fault(name):
        raise UserError(f"{what}: {fault}")
    return name


def sweep(folder: Path) -> None:
    """Remove what killed processes of this machine were writing in a folder, so that nothing of it stays."""
    for draft in folder.glob(f".*{DRAFT}{_MACHINE}-*"):
        process = draft.name.rpartition("-")[2].partition(".")[0]
        if process.isdecimal() and not lives(int(process)):
            with suppress(OSError):
                shutil.rmtree(draft) if draft.is_dir() else draft.unlink()


def lives(process: int) -> bool:
    """Whether a process of this machine has that number; true as well where the system does not tell."""
    if os.name == "nt":  # there is no asking there: a signal of 0 would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # somebody else's, or none that the system could have
        return True
    return True


def draft_of(path: Path, suffix: str = "") -> Path:
    """Where something is written before it takes its place; with a suffix for writers that go by it."""
    return path.with_name(f".{path.name[:_LONGEST_NAME]}{DRAFT}{_MACHINE}-{os.getpid()}{suffix}")
