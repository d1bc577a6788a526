"""One process in a run's folder."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from lock_holder import Holder
from tiny_training import RecipeMaker

from nas.errors import UserError
from nas.train import train_supernet
from nas.train.lock import is_alive, sole_process


@pytest.fixture(params=["by system", "by pid"])
def fcntl(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether there are locks of the system, for this process too."""
    if request.param == "by system":
        pytest.importorskip("fcntl")
        return True
    monkeypatch.setitem(sys.modules, "fcntl", None)
    return False


def test_a_second_process_is_refused_in_one_line(tmp_path: Path, fcntl: bool) -> None:
    holder = Holder(tmp_path, fcntl=fcntl)
    with pytest.raises(UserError) as caught, sole_process(tmp_path):
        pass
    assert f"is being written by process {holder.pid} on" in str(caught.value)
    assert "\n" not in str(caught.value)
    holder.let_go()
    with sole_process(tmp_path):
        pass


def test_a_killed_process_holds_nothing(tmp_path: Path, fcntl: bool) -> None:
    holder = Holder(tmp_path, fcntl=fcntl)
    holder.kill()
    assert json.loads((tmp_path / ".lock").read_text())["pid"] == holder.pid
    with sole_process(tmp_path):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_workers_that_outlive_a_killed_process_do_not_hold_its_lock(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    holder = Holder(tmp_path, child=True)
    holder.kill()
    with sole_process(tmp_path):
        pass
    holder.let_go()


def test_the_same_process_is_refused_too_and_keeps_its_lock(tmp_path: Path) -> None:
    with sole_process(tmp_path):
        with pytest.raises(UserError, match=f"process {os.getpid()}"), sole_process(tmp_path):
            pass
        assert f"is being written by process {os.getpid()}" in Holder(tmp_path).answer
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
