"""Processes that hold a folder until they are let go or killed."""

import errno
import multiprocessing
import os
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from nas.errors import UserError
from nas.locks import sole_process

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["nas.locks"])


def no_locks(*_: Any) -> None:
    """What `flock` does on a file system that has no locks."""
    raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))


class Holder:
    """A process that tries to enter a folder.

    Args:
        folder: to enter.
        locks: whether its file system has locks.
        child: whether it forks a child that outlives it.
    """

    def __init__(self, folder: Path, *, locks: bool = True, child: bool = False) -> None:
        self._pipe, theirs = _context.Pipe()
        self._process = _context.Process(target=_hold, args=(folder, theirs, locks, child))
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


def _hold(folder: Path, pipe: Connection, locks: bool, child: bool) -> None:
    if not locks:
        import fcntl

        fcntl.flock = no_locks  # type: ignore[assignment]
    try:
        with sole_process(folder):
            # Who answers is the one that may outlive the other: only then is it up.
            outliving = child and os.fork() == 0
            if outliving or not child:
                pipe.send("in")
            _wait(pipe)
            if outliving:
                os._exit(0)
    except UserError as error:
        pipe.send(str(error))


def _wait(pipe: Connection) -> None:
    try:
        pipe.recv()
    except EOFError:
        return
