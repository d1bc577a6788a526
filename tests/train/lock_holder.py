"""Processes that hold a folder until they are let go or killed."""

import multiprocessing
import os
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from nas.errors import UserError
from nas.train.lock import sole_process

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["nas.train.lock"])


class Holder:
    """A process that tries to enter a folder.

    Args:
        folder: to enter.
        fcntl: whether it has locks of the system.
        child: whether it forks a child that outlives it.
    """

    def __init__(self, folder: Path, *, fcntl: bool = True, child: bool = False) -> None:
        self._pipe, theirs = _context.Pipe()
        self._process = _context.Process(target=_hold, args=(folder, theirs, fcntl, child))
        self._process.start()
        theirs.close()
        self.answer = self._pipe.recv()
        """ "in", or why not."""

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()
        self._process.join()

    def let_go(self) -> None:
        """Let it, and its child, end."""
        self._pipe.close()
        self._process.join()


def _hold(folder: Path, pipe: Connection, fcntl: bool, child: bool) -> None:
    if not fcntl:
        sys.modules["fcntl"] = None  # type: ignore[assignment]
    try:
        with sole_process(folder):
            if child and os.fork() == 0:
                _wait(pipe)
                os._exit(0)
            pipe.send("in")
            _wait(pipe)
    except UserError as error:
        pipe.send(str(error))


def _wait(pipe: Connection) -> None:
    try:
        pipe.recv()
    except EOFError:
        return
