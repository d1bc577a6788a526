"""What the machine refuses: one line, and everything that was there before stays whole."""

import errno
import gc
import json
import logging
import multiprocessing
import os
import re
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
import yaml
from lock_holder import Holder
from test_train_resume import same_run
from tiny_training import RecipeMaker

from nas.cli.main import run as run_command
from nas.errors import UserError
from nas.runs import read_metrics
from nas.runs.config import Recipe
from nas.runs.folder import RunFolder
from nas.train import checkpoint as checkpoint_files
from nas.train import train_supernet
from nas.train.checkpoint import Checkpoint, CheckpointStore
from nas.train.estimate import size
from nas.train.faults import is_out_of_memory, memory_for
from nas.train.rate import Rate
from nas.train.rules import SandwichRule
from nas.train.scoring import Scorer
from nas.train.update import Updater


def checkpoint(step: int) -> Checkpoint:
    weights = {"model": {"w": torch.full((300, 2), float(step))}}
    return Checkpoint(step=step, weights=weights, state={"step": step})


def full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["write_bytes", "mkdir", "rename", "fsync"])
def test_a_full_disk_leaves_former_checkpoints_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    store = CheckpointStore(tmp_path / "checkpoints", keep=1)
    store.save(checkpoint(1))
    with monkeypatch.context() as patch:
        patch.setattr(os if call == "fsync" else Path, call, full)
        with pytest.raises(
            UserError,
            match=r"step-\d+: the disk is full; the checkpoints before it are whole\. Free",
        ):
            store.save(checkpoint(2))
    assert [path.name for path in store.folder.iterdir()] == ["step-00000001"]
    found = store.latest()
    assert found is not None
    assert found.step == 1
    store.save(checkpoint(2))
    assert [path.name for path in store.folder.iterdir()] == ["step-00000002"]


def test_the_only_checkpoint_is_not_touched_before_its_successor_is_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CheckpointStore(tmp_path, keep=1)
    store.save(checkpoint(4))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", full)
        with pytest.raises(UserError):
            store.save(checkpoint(4))
    found = store.latest()
    assert found is not None
    assert found.step == 4
    for _ in range(3):
        store.save(checkpoint(4))
    assert len(store.paths()) == 1
    assert store.latest() is not None


def test_a_damaged_checkpoint_is_not_counted_among_those_kept(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=2)
    for step in (3, 6, 9):
        path = store.save(checkpoint(step))
    (path / "state.pt").write_bytes(b"")
    found = store.latest()
    assert found is not None
    assert found.step == 6
    store.save(checkpoint(7))
    assert [path.name for path in store.paths()] == ["step-00000006", "step-00000007"]


def test_a_step_that_is_not_its_names_is_damage(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=2)
    store.save(checkpoint(3))
    manifest = store.save(checkpoint(5)) / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"step": 55}))
    found = store.latest()
    assert found is not None
    assert found.step == 3


def test_a_run_that_filled_the_disk_goes_on_once_there_is_room(
    make_config: RecipeMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config()
    straight = train_supernet(config, tmp_path / "straight")
    fill = checkpoint_files._fill

    def filling(draft: Path, made: Checkpoint) -> None:
        fill(draft, made)
        if made.step == 6:
            full()

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_files, "_fill", filling)
        with pytest.raises(UserError, match="the disk is full; the checkpoints before it are whole"):
            train_supernet(config, tmp_path / "full")
    same_run(straight, train_supernet(config, tmp_path / "full"))


def test_too_little_disk_is_refused_before_the_first_step(
    make_config: RecipeMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2**16))
    with pytest.raises(UserError, match=r"0\.1 MiB are free, but the run needs .* checkpoint\.keep"):
        train_supernet(make_config(), tmp_path / "run")
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_what_a_run_takes_is_told(
    make_config: RecipeMaker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        run = train_supernet(make_config(), tmp_path / "run")
    told = [line for line in caplog.messages if line.startswith("tiny: checkpoints take up to")]
    assert len(told) == 1
    taken = sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file())
    said = float(told[0].split("up to ")[1].split(" MiB")[0]) * 2**20
    assert taken < said < taken + 18 * 2**20
    assert any("peak so far: " in line and "of memory" in line for line in caplog.messages)


def test_sizes_are_said_as_people_do() -> None:
    assert [size(n) for n in (0, 2**19, 30 * 2**20, 5 * 2**30)] == ["0.0 MiB", "0.5 MiB", "30 MiB", "5.0 GiB"]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("DataLoader worker (pid 12) is killed by signal: Killed. "),
        cv2.error("OpenCV(4.9) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 9 bytes"),
    ],
)
def test_out_of_memory_names_what_to_lower(error: Exception) -> None:
    with pytest.raises(UserError) as caught, memory_for(Recipe(steps=1, batch=7)):
        raise error
    assert re.search(r"out of memory.*batch \(7 now\).*resolutions", str(caught.value))
    assert "data.workers" in str(caught.value)
    assert "data.cache_mib" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_reason_of_a_loaders_error_counts() -> None:
    error = RuntimeError("DataLoader worker (pid(s) 12) exited unexpectedly")
    assert not is_out_of_memory(error)
    error.__cause__ = RuntimeError("DataLoader worker (pid 12) is killed by signal: Killed. ")
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("DataLoader worker (pid(s) 12, 13) exited unexpectedly", "prepares images is gone"),
        (
            "DataLoader worker (pid 12) is killed by signal: Segmentation fault. ",
            "by signal: Segmentation fault",
        ),
        (
            "[gloo/transport/tcp/pair.cc:538] Connection closed by peer [127.0.0.1]:4",
            "another process of this",
        ),
        (
            "[gloo/transport/tcp/buffer.cc:74] Timed out waiting 600000ms for recv operation",
            "is gone or stuck",
        ),
    ],
)
def test_lost_processes_are_one_line(message: str, told: str) -> None:
    with pytest.raises(UserError, match=f"{told}.*the same command goes on"), memory_for(Recipe(steps=1)):
        raise RuntimeError(message)


def reset(left: Connection, _: Connection) -> None:
    with socket.socket(fileno=os.dup(left.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)
    left.send_bytes(b"to a process that is gone")


def closed(left: Connection, right: Connection) -> None:
    right.close()
    left.recv_bytes()


def vanished(*_: Connection) -> None:
    Client("/nowhere/listener", "AF_UNIX")


@pytest.mark.skipif(sys.platform == "win32", reason="no sockets of this family on this system")
@pytest.mark.parametrize("fault", [reset, closed, vanished])
def test_a_broken_connection_to_a_worker_is_one_line(fault: Callable[[Connection, Connection], None]) -> None:
    """The connection breaks before the system knows that the worker is gone."""
    left, right = multiprocessing.Pipe()
    told = "prepares images is gone.*the same command goes on"
    with left, right, pytest.raises(UserError, match=told), memory_for(Recipe(steps=1)):
        fault(left, right)


@pytest.mark.parametrize("error", [ConnectionResetError("by peer"), EOFError(), FileNotFoundError("a.jpg")])
def test_connections_elsewhere_are_not_workers(error: Exception) -> None:
    with pytest.raises(type(error)), memory_for(Recipe(steps=1)):
        raise error


@pytest.mark.parametrize(
    ("message", "shown"),
    [("DataLoader worker (pid 7) is killed by signal: Killed. ", False), ("something else", True)],
)
def test_what_a_finalizer_hears_of_a_lost_worker_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, message: str, shown: bool
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)

    class Finalized:
        def __del__(self) -> None:
            raise RuntimeError(message)

    with memory_for(Recipe(steps=1)):
        Finalized()
        gc.collect()
    assert bool(seen) == shown
    assert sys.unraisablehook == seen.append


def kill_a_worker() -> None:
    """As the system does where memory runs out."""
    pid = multiprocessing.active_children()[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on this system")
@pytest.mark.parametrize("place", [(Updater, "step"), (Scorer, "__call__"), (CheckpointStore, "save")])
def test_a_killed_worker_is_one_line_and_the_same_command_goes_on(
    make_config: RecipeMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    place: tuple[type, str],
) -> None:
    data = make_config().data.model_dump(mode="json")
    data |= {"workers": 2, "val": [{"annotations": "people.json", "images": "images"}]}
    config = make_config(data=data, validation={"every": 6, "images": 4})
    straight = train_supernet(config, tmp_path / "straight")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    command = ["train", str(recipe), "--runs", str(tmp_path), "--name", "run"]
    original = getattr(*place)

    def killing(*arguments: Any, **options: Any) -> Any:
        if multiprocessing.active_children() and (tmp_path / "run" / "metrics.jsonl").is_file():
            kill_a_worker()
        return original(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(*place, killing)
        assert run_command(command) == 2
    told = capfd.readouterr().err
    assert "Traceback" not in told
    (line,) = [line for line in told.splitlines() if line.startswith("Error")]
    assert "the same command goes on from the last checkpoint" in line
    assert "memory" in line
    assert run_command(command) == 0
    same_run(straight, RunFolder(tmp_path / "run"))


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes do not match"), OSError(errno.ENOENT, "no"), ValueError("out of memory")]
)
def test_other_errors_are_not_taken_for_it(error: Exception) -> None:
    assert not is_out_of_memory(error)
    with pytest.raises(type(error)), memory_for(Recipe(steps=1)):
        raise error


def test_a_real_allocation_that_fails_is_one_line(
    make_config: RecipeMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(make_config().model_dump(mode="json")))

    def greedy(*_: Any, **__: Any) -> Any:
        return torch.empty(2**60, dtype=torch.uint8)

    monkeypatch.setattr(SandwichRule, "__call__", greedy)
    assert run_command(["train", str(recipe), "--runs", str(tmp_path / "runs")]) == 2
    last = [line for line in capfd.readouterr().err.splitlines() if line.startswith("Error")]
    assert len(last) == 1
    assert "out of memory" in last[0]
    assert "batch (4 now)" in last[0]


def test_a_clock_that_is_set_back_changes_no_rate(
    make_config: RecipeMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(10**9, 0, -3600))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    run = train_supernet(make_config(), tmp_path / "run")
    rates = [line["images_per_second"] for line in read_metrics(run.metrics_file)]
    assert len(rates) == 4
    assert all(rate is not None and rate > 0 for rate in rates[1:])


def test_a_clock_that_stands_still_gives_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "perf_counter", lambda: 5.0)
    rate = Rate()
    for _ in range(4):
        rate.step()
    assert rate.per_second == 0.0


def test_training_is_refused_while_another_process_trains(make_config: RecipeMaker, tmp_path: Path) -> None:
    holder = Holder(tmp_path / "run")
    with pytest.raises(UserError, match="is being written by"):
        train_supernet(make_config(steps=1), tmp_path / "run")
    assert not (tmp_path / "run" / "config.yaml").exists()
    holder.kill()
    assert train_supernet(make_config(steps=1), tmp_path / "run").weights_file.is_file()
