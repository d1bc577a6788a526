"""Signals that end a program: raised, kept, left to the parent, and never taken from who has them ignored."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection

import pytest

from nas.interrupt import (
    Interruption,
    StopRequest,
    ending_at_once,
    exit_code,
    finishing,
    interruptible,
    leave_to_parent,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Handlers as a shell gives them to a program in the foreground; afterwards those from before."""
    former = {number: signal.getsignal(number) for number in ENDING}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_end_a_program_as_ctrl_c_does(number: int, code: int) -> None:
    with pytest.raises(KeyboardInterrupt) as caught, interruptible():
        os.kill(os.getpid(), number)
    assert exit_code(caught.value) == code
    assert exit_code(KeyboardInterrupt()) == 130
    assert signal.getsignal(number) is signal.SIG_DFL


@pytest.mark.parametrize("number", ENDING)
def test_the_first_signal_is_kept_and_the_second_acts(number: int) -> None:
    with interruptible(), StopRequest() as stop:
        assert stop.number == 0
        os.kill(os.getpid(), number)
        assert stop.number == number
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", ENDING)
def test_what_is_done_is_put_in_its_place_whatever_comes(number: int) -> None:
    former = signal.getsignal(number)
    with interruptible(), finishing():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is former


def test_a_hang_up_that_nohup_has_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with interruptible(), StopRequest() as stop, ending_at_once():
        os.kill(os.getpid(), signal.SIGHUP)
    assert stop.number == 0
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_what_waits_without_looking_ends_at_once() -> None:
    code = (
        "import os, signal; from nas.interrupt import *\n"
        "with interruptible(), ending_at_once(): os.kill(os.getpid(), signal.SIGTERM)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGTERM
    with interruptible():
        with ending_at_once():
            pass
        with pytest.raises(Interruption):
            os.kill(os.getpid(), signal.SIGTERM)


def _answer(questions: Connection) -> None:
    leave_to_parent()
    questions.send("ready")
    while questions.recv():
        questions.send("here")


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")
def test_a_worker_heeds_its_parent_alone() -> None:
    ours, its = multiprocessing.Pipe()
    with interruptible():
        worker = multiprocessing.get_context("fork").Process(target=_answer, args=(its,), daemon=True)
        worker.start()
    assert worker.pid is not None
    assert ours.recv() == "ready"
    for name in ("INT", "HUP", "TERM"):
        # From another process, as a terminal or a scheduler sends them.
        subprocess.run(["sh", "-c", f"kill -{name} {worker.pid}"], check=True)
        ours.send(True)
        assert ours.recv() == "here"
    for _ in range(60):  # the system merges it with another process's that is not yet taken
        worker.terminate()
        worker.join(1)
        if worker.exitcode is not None:
            break
    assert worker.exitcode == 0


BROKEN_OFF = """
import os
from multiprocessing import resource_sharer
from multiprocessing.connection import Client
from nas.interrupt import leave_to_parent
leave_to_parent()
read, write = os.pipe()
broken, whole = resource_sharer.DupFd(read), resource_sharer.DupFd(write)
for _ in range(5):
    Client(broken._id[0]).close()
os.close(whole.detach())  # answered by the same thread, after the others
print("done")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="file descriptors are not shared on this system")
def test_connections_that_a_parent_breaks_off_are_not_told_by_workers() -> None:
    """As a loader's are when another worker is lost while tensors are on their way."""
    ended = subprocess.run([sys.executable, "-c", BROKEN_OFF], capture_output=True, text=True, check=True)
    assert ended.stdout == "done\n"
    assert ended.stderr == ""
