"""Further processes of a training, or with trainings of their own, which the first one starts and ends."""

import logging
import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from torch import distributed

from nas.errors import UserError
from nas.interrupt import Interruption, Paused
from nas.train.faults import LostProcessError, lost_process
from nas.train.launch import processes

_READY = b"ready\n"

_PATIENCE_S = 20.0
"""For a helper to end after the training has."""

_LOST = "another process ended before its time; its messages say why, and the same command goes on"

_PAUSED = 3
"""A helper's exit code whose time was up."""


@contextmanager
def joined_by(others: int, task: Callable[..., object], *arguments: Any, **options: Any) -> Iterator[None]:
    """Within, this process is the first of a training in which so many others take part.

    They call `task`, which has to be known by its name, with arguments that can be pickled. They follow the
    first one when it is stopped, and end when it is gone. Where torchrun or SLURM have started the processes,
    nothing happens.

    Raises:
        UserError: what one of the others says, where it was the first to fail.
    """
    if others == 0 or processes() > 1:
        yield
        return
    shared = _variables(others + 1)
    former = {name: os.environ.get(name) for name in (*shared, *_of_rank(0))}
    job = pickle.dumps((task, arguments, options))
    helpers = [_Helper(os.environ | shared | _of_rank(rank), job) for rank in range(1, others + 1)]
    os.environ.update(shared | _of_rank(0))
    try:
        for helper in helpers:
            helper.wait_until_ready()
        yield
    except LostProcessError as error:
        said = [words for words in (helper.end(_PATIENCE_S) for helper in helpers) if words]
        raise (UserError(said[0]) if said else error) from None
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()
        for name, value in former.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
        trouble = sys.exc_info()[0] is not None
        for helper in helpers:
            helper.end(0 if trouble else _PATIENCE_S)


@contextmanager
def beside(tasks: Iterable[Callable[[], object]]) -> Iterator[None]:
    """Within, processes of their own do these tasks, which can be pickled; at the end they are waited for.

    Where this one is stopped or fails, they are asked to stop as well, and what they have done is kept.

    Raises:
        Paused: the time of one of them was up.
        UserError: what one of them says.
    """
    helpers = [_Helper(os.environ, pickle.dumps((task, (), {}))) for task in tasks]
    try:
        yield
        for helper in helpers:
            helper.wait()
    finally:
        for helper in helpers:
            helper.ask_to_stop()
        said = [helper.end(_PATIENCE_S) for helper in helpers]
    for code, words in zip([helper.wait() for helper in helpers], said, strict=True):
        if code == _PAUSED:
            raise Paused
        if code != 0:
            raise UserError(words) if words else LostProcessError(_LOST)


class _Helper:
    """A process that takes part; it ends as soon as its standard input does."""

    def __init__(self, environment: Mapping[str, str], job: bytes) -> None:
        # A group of its own: Ctrl-C is the first process's to answer.
        apart: dict[str, Any] = {"process_group": 0} if os.name == "posix" else {}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from nas.train.helpers import take_part; take_part()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**environment, "PYTHONPATH": _import_path(environment)},
            **apart,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._hears, self._says = self._process.stdin, self._process.stdout
        with suppress(BrokenPipeError):  # what never started is told of later
            self._hears.write(job)
            self._hears.flush()

    def wait_until_ready(self) -> None:
        if self._says.readline() != _READY:
            raise LostProcessError("another process of this training did not start; its messages say why")

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        return self._process.wait()

    def ask_to_stop(self) -> None:
        """It ends at its next step, with a checkpoint; one that has ended has."""
        self._process.terminate()

    def end(self, patience: float) -> str:
        """End it, after so many seconds by force. Returns what it said to the user, the first time."""
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._says.closed:
            return ""
        with self._hears, self._says:
            words: bytes = self._says.read()
        return words.removeprefix(_READY).decode().strip()


def _import_path(environment: Mapping[str, str]) -> str:
    """The package of this process before any other."""
    usual = environment.get("PYTHONPATH")
    return os.pathsep.join([str(Path(__file__).parents[2]), *([usual] if usual else [])])


def _variables(count: int) -> dict[str, str]:
    """What torchrun would tell all of them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return {
        "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "GROUP_RANK": "0",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "helpers", "TORCHELASTIC_RESTART_COUNT": "0",
        **({"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}),
    }  # fmt: skip


def _of_rank(rank: int) -> dict[str, str]:
    return {"RANK": str(rank), "LOCAL_RANK": str(rank)}


def take_part() -> None:
    """In a helper: do as standard input says, until the training or the first process ends."""
    task, arguments, options = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_first, daemon=True).start()
    logging.getLogger("nas").addHandler(logging.NullHandler())  # the first process says it
    words = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    words.write(_READY)
    words.flush()
    try:
        task(*arguments, **options)
    except UserError as error:
        if not isinstance(error, LostProcessError):
            words.write(str(error).encode())
            words.flush()
        raise SystemExit(1) from None
    except Paused:
        raise SystemExit(_PAUSED) from None
    except Interruption:
        raise SystemExit(1) from None
    except RuntimeError as error:
        if lost_process(error) is None:
            raise
        raise SystemExit(1) from None


def _end_with_first() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)
