"""What ends a program early: Ctrl-C, SIGTERM, SIGHUP where it is not ignored, as `nohup` has it; time."""

import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

_HANG_UP: int | None = getattr(signal, "SIGHUP", None)  # Windows has none


class Interruption(KeyboardInterrupt):
    """A signal asked the program to end, as Ctrl-C does.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Paused(BaseException):
    """The time that work was given is up. What is done is kept, and the same call goes on from there.

    As little an error as Ctrl-C, and so no Exception: what handles those lets it pass.
    """


def exit_code(stop: BaseException) -> int:
    """What shells say of a program that a signal ended: 130 after Ctrl-C, 143 SIGTERM, 129 SIGHUP."""
    return 128 + (stop.number if isinstance(stop, Interruption) else signal.SIGINT)


@contextmanager
def interruptible() -> Iterator[None]:
    """Within, SIGTERM and SIGHUP end the program as Ctrl-C does: cleaned up, and with what is done kept."""

    def end(number: int, frame: FrameType | None) -> None:
        raise Interruption(number)

    with _handled(dict.fromkeys(_asked_from_outside(), end)):
        yield


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Within, SIGTERM and SIGHUP end the process on the spot: for calls that wait and look at nothing."""
    with _handled(dict.fromkeys(_asked_from_outside(), signal.SIG_DFL)):
        yield


@contextmanager
def finishing() -> Iterator[None]:
    """Within, what would end the program is passed over: while what is done is put in its place.

    A key that is held down, or a supervisor that signals twice, would else undo the first signal's clean end.
    """
    with _handled(dict.fromkeys((signal.SIGINT, *_asked_from_outside()), signal.SIG_IGN)):
        yield


class StopRequest:
    """While entered, the first signal that would end the program is only kept; a second one acts as usual."""

    def __init__(self) -> None:
        self.number = 0
        """Of the signal that came; 0 while none did."""
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._former = _install(dict.fromkeys((signal.SIGINT, *_asked_from_outside()), self._note))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        self._restore()

    def _restore(self) -> None:
        _install(self._former)
        self._former = {}


def leave_to_parent() -> None:
    """In a worker process: leave it to the parent to answer what ends the program.

    A terminal or a job's scheduler sends such signals to all processes at once; the parent may still need its
    workers to end well. Of SIGTERM, by which it ends them itself, only the parent's own is heeded where the
    system tells whose it is. A connection that the parent breaks off on its way is no error to tell of.
    """
    sys.excepthook = _pass_over_broken_connections
    _install(dict.fromkeys((signal.SIGINT, *([] if _HANG_UP is None else [_HANG_UP])), signal.SIG_IGN))
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_heed, args=(os.getppid(),), daemon=True).start()


def _pass_over_broken_connections(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if not issubclass(kind, ConnectionError | EOFError):
        sys.__excepthook__(kind, error, trace)


def _heed(parent: int) -> None:
    """End this process at its parent's SIGTERM; at anybody's where the parent is gone."""
    while True:
        sender = signal.sigwaitinfo({signal.SIGTERM}).si_pid
        if sender == parent or os.getppid() != parent:
            os._exit(0)


def _asked_from_outside() -> list[int]:
    """SIGTERM, and SIGHUP unless whoever started the program has it ignored."""
    if _HANG_UP is None or signal.getsignal(_HANG_UP) is signal.SIG_IGN:
        return [signal.SIGTERM]
    return [signal.SIGTERM, _HANG_UP]


@contextmanager
def _handled(handlers: Mapping[int, Any]) -> Iterator[None]:
    former = _install(handlers)
    try:
        yield
    finally:
        _install(former)


def _install(handlers: Mapping[int, Any]) -> dict[int, Any]:
    """Set handlers; gives the former ones. Signals are the main thread's alone to set."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.signal(number, handler) for number, handler in handlers.items()}
