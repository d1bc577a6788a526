"""One process in a folder, and at a file."""

import json
import os
from pathlib import Path

import pytest
from lock_holder import Holder, no_locks

from nas.errors import UserError
from nas.locks import lock_file, sole_process, taking_turns

fcntl = pytest.importorskip("fcntl")


@pytest.fixture(params=["by system", "by marker"])
def locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the file system has locks, for this process too."""
    if request.param == "by marker":
        monkeypatch.setattr(fcntl, "flock", no_locks)
    return bool(request.param == "by system")


def test_a_second_process_is_refused_in_one_line(tmp_path: Path, locks: bool) -> None:
    holder = Holder(tmp_path, locks=locks)
    with pytest.raises(UserError) as caught, sole_process(tmp_path):
        pass
    assert f"is being written by process {holder.pid} on" in str(caught.value)
    assert "\n" not in str(caught.value)
    holder.let_go()
    with sole_process(tmp_path):
        pass


def test_a_killed_process_holds_nothing(tmp_path: Path, locks: bool) -> None:
    holder = Holder(tmp_path, locks=locks)
    holder.kill()
    assert json.loads((tmp_path / ".lock").read_text())["pid"] == holder.pid
    with sole_process(tmp_path):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_workers_that_outlive_a_killed_process_do_not_hold_its_lock(tmp_path: Path) -> None:
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


def test_an_open_file_has_one_writer(tmp_path: Path) -> None:
    path = tmp_path / "table.jsonl"
    with path.open("ab") as first, path.open("ab") as second:
        lock_file(first.fileno(), path)
        with pytest.raises(UserError, match=r"table\.jsonl is being written by another process"):
            lock_file(second.fileno(), path)
        first.close()
        lock_file(second.fileno(), path)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"), sole_process(tmp_path / "file" / "run"):
        pass


def test_what_fails_while_it_is_ones_turn_is_no_fault_of_the_lock(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), taking_turns(tmp_path / ".lock"):
        (tmp_path / "missing").stat()
    with pytest.raises(UserError, match="cannot be written"), taking_turns(tmp_path / "no" / ".lock"):
        pass
