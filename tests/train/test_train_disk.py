"""A disk that is really full, or really read-only: a small one in memory, where mounting is permitted."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_disk import Disk, small_disk
from test_train_resume import before_step, same_run
from tiny_training import RecipeMaker

from nas.cli.main import run as run_command
from nas.errors import UserError
from nas.files import append_row, read_rows
from nas.runs import read_metrics
from nas.runs.config import SupernetConfig
from nas.train import train_supernet
from nas.train.checkpoint import CheckpointStore

pytestmark = pytest.mark.slow


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk") as disk:
        yield disk


Started = Callable[..., tuple[SupernetConfig, list[str]]]


@pytest.fixture
def started(make_config: RecipeMaker, tmp_path: Path, disk: Disk) -> Started:
    """A recipe, and the command that trains it on the small disk."""

    def start(**changes: Any) -> tuple[SupernetConfig, list[str]]:
        config = make_config(**changes)
        recipe = tmp_path / "recipe.yaml"
        recipe.write_text(yaml.safe_dump(config.model_dump(mode="json")))
        return config, ["train", str(recipe), "--runs", str(disk.folder), "--name", "run"]

    return start


def errors(capfd: pytest.CaptureFixture[str]) -> list[str]:
    """The lines of the error, and of any traceback."""
    lines = capfd.readouterr().err.splitlines()
    return [line for line in lines if line.startswith(("Error", "Traceback", "  File", "Exception"))]


def test_full_at_a_checkpoint(
    started: Started, disk: Disk, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config, command = started(log_every=1000)
    straight = train_supernet(config, tmp_path / "straight")
    with before_step(4, disk.fill):
        assert run_command(command) == 2
    (line,) = errors(capfd)
    assert "the disk is full; the checkpoints before it are whole. Free some space" in line
    assert "checkpoints/step-" in line
    store = CheckpointStore(disk.folder / "run" / "checkpoints", keep=2)
    found = store.latest()
    assert found is not None
    assert found.step == 3
    assert run_command(command) == 2  # still full: refused, and nothing lost
    assert len(errors(capfd)) == 1
    disk.clear()
    assert run_command(command) == 0
    same_run(straight, train_supernet(config, disk.folder / "run"))


def test_full_at_a_line_of_the_metrics(
    started: Started, disk: Disk, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # Enough lines to need another page of the disk; no checkpoint that would fail before them.
    config, command = started(steps=60, log_every=1, checkpoint={"every": 50, "keep": 1})
    straight = train_supernet(config, tmp_path / "straight")
    with before_step(3, disk.fill):
        assert run_command(command) == 2
    (line,) = errors(capfd)
    assert "the disk is full; what was written before is whole" in line
    text = (disk.folder / "run" / "metrics.jsonl").read_text()
    steps = [json.loads(line)["step"] for line in text.splitlines()]
    assert steps == list(range(1, len(steps) + 1))
    assert 3 <= len(steps) < 50
    assert text.endswith("\n")
    disk.clear()
    assert run_command(command) == 0
    assert [line["step"] for line in read_metrics(disk.folder / "run" / "metrics.jsonl")] == list(
        range(1, 61)
    )
    same_run(straight, train_supernet(config, disk.folder / "run"))


def test_full_before_the_start(started: Started, disk: Disk, capfd: pytest.CaptureFixture[str]) -> None:
    disk.fill()
    _, command = started()
    assert run_command(command) == 2
    (line,) = errors(capfd)
    assert "the disk is full" in line or "are free, but the run needs" in line


def test_full_at_a_row_of_a_latency_table(disk: Disk) -> None:
    path = disk.folder / "table.jsonl"
    row = {"arch": "a" * 300, "ms": 1.25}
    append_row(path, row)
    disk.fill()
    written = 1
    with pytest.raises(UserError, match=r"table\.jsonl: the disk is full"):  # noqa: PT012
        while True:
            append_row(path, row)
            written += 1
    assert [found for _, found in read_rows(path)] == [row] * written
    disk.clear()
    append_row(path, row)
    assert path.read_bytes().count(b"\n") == written + 1


def test_read_only(started: Started, disk: Disk, capfd: pytest.CaptureFixture[str]) -> None:
    _, command = started(steps=2)
    disk.make_read_only()
    assert run_command(command) == 2
    (line,) = errors(capfd)
    assert "Read-only file system" in line
    assert str(disk.folder / "run") in line


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no permissions of that kind on this system")
def test_a_folder_without_permission(make_config: RecipeMaker, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("the superuser may write everywhere")
    folder = tmp_path / "run"
    folder.mkdir(mode=0o500)
    with pytest.raises(UserError, match="cannot be written"):
        train_supernet(make_config(), folder)
