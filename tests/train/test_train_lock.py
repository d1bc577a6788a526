"""One process in a run's folder."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_training import RecipeMaker

from nas.errors import UserError
from nas.train import train_supernet
from nas.train.lock import is_alive, sole_process

HOLD = """
import sys
from pathlib import Path
{before}
from nas.train.lock import sole_process
with sole_process(Path(sys.argv[1])):
    {within}
    print("in", flush=True)
    sys.stdin.read()
"""

NO_FCNTL = "sys.modules['fcntl'] = None"
CHILD = "import os; child = os.fork()\n    if child == 0:\n        sys.stdin.read(); os._exit(0)"


class Holder:
    """A process that holds a folder until it is let go or killed."""

    def __init__(self, folder: Path, before: str = "", within: str = "pass") -> None:
        script = HOLD.format(before=before, within=within)
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "in\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def let_go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


@pytest.fixture(params=["by system", "by pid"])
def without_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """What a holder has to run first so that it has the same locks as this process."""
    if request.param == "by system":
        pytest.importorskip("fcntl")
        yield ""
    else:
        monkeypatch.setitem(sys.modules, "fcntl", None)
        yield NO_FCNTL


def test_a_second_process_is_refused_in_one_line(tmp_path: Path, without_locks: str) -> None:
    holder = Holder(tmp_path, without_locks)
    with pytest.raises(UserError) as caught, sole_process(tmp_path):
        pass
    assert f"is being written by process {holder.process.pid} on" in str(caught.value)
    assert "\n" not in str(caught.value)
    holder.let_go()
    with sole_process(tmp_path):
        pass


def test_a_killed_process_holds_nothing(tmp_path: Path, without_locks: str) -> None:
    holder = Holder(tmp_path, without_locks)
    holder.kill()
    assert json.loads((tmp_path / ".lock").read_text())["pid"] == holder.process.pid
    with sole_process(tmp_path):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_workers_that_outlive_a_killed_process_do_not_hold_its_lock(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    holder = Holder(tmp_path, within=CHILD)
    holder.kill()
    with sole_process(tmp_path):
        pass
    holder.let_go()


def test_the_same_process_is_refused_too_and_keeps_its_lock(tmp_path: Path) -> None:
    with sole_process(tmp_path):
        with pytest.raises(UserError, match=f"process {os.getpid()}"), sole_process(tmp_path):
            pass
        script = HOLD.format(before="", within="pass")
        second = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "is being written by process" in second.stderr
    with sole_process(tmp_path):
        pass


def test_a_process_of_another_machine_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    (tmp_path / ".lock").write_text(json.dumps({"pid": 1, "host": f"not-{socket.gethostname()}"}))
    with pytest.raises(UserError, match=r"delete .*\.lock"), sole_process(tmp_path):
        pass


def test_a_torn_lock_file_is_nobodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    (tmp_path / ".lock").write_text('{"pid": 1')
    with sole_process(tmp_path):
        pass


def test_a_process_is_alive_until_it_ends() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    assert is_alive(os.getpid())
    process.wait()
    assert not is_alive(process.pid)


def test_training_is_refused_while_another_process_trains(make_config: RecipeMaker, tmp_path: Path) -> None:
    holder = Holder(tmp_path / "run")
    with pytest.raises(UserError, match="is being written by"):
        train_supernet(make_config(steps=1), tmp_path / "run")
    assert not (tmp_path / "run" / "config.yaml").exists()
    holder.kill()
    assert train_supernet(make_config(steps=1), tmp_path / "run").weights_file.is_file()
