"""Checkpoints that survive kills and damage, and metrics without doubled lines."""

import json
import logging
from pathlib import Path

import pytest
import torch

from nas.errors import UserError
from nas.runs.metrics import read_metrics
from nas.train.checkpoint import Checkpoint, CheckpointStore
from nas.train.metrics import MetricsWriter


def checkpoint(step: int) -> Checkpoint:
    weights = {"model": {"w": torch.full((3, 2), float(step))}, "ema": {"w": torch.zeros(2)}}
    return Checkpoint(step=step, weights=weights, state={"counters": {"step": step}, "t": torch.ones(2)})


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path / "checkpoints", keep=2)


def test_round_trip(store: CheckpointStore) -> None:
    assert store.latest() is None
    store.save(checkpoint(7))
    loaded = store.latest()
    assert loaded is not None
    assert loaded.step == 7
    assert torch.equal(loaded.weights["model"]["w"], torch.full((3, 2), 7.0))
    assert loaded.state["counters"] == {"step": 7}


def test_only_the_newest_stay(store: CheckpointStore) -> None:
    for step in (1, 2, 30):
        store.save(checkpoint(step))
    assert [path.name for path in store.paths()] == ["step-00000002", "step-00000030"]


@pytest.mark.parametrize("file", ["model.safetensors", "state.pt", "manifest.json"])
@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_a_damaged_newest_is_named_and_the_one_before_used(
    store: CheckpointStore, file: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.save(checkpoint(1))
    path = store.save(checkpoint(2)) / file
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]
        path.write_bytes(content[:middle] if damage == "cut" else flipped)
    with caplog.at_level(logging.WARNING):
        loaded = store.latest()
    assert loaded is not None
    assert loaded.step == 1
    assert "step-00000002 is damaged" in caplog.text


def test_a_half_written_draft_is_no_checkpoint(store: CheckpointStore) -> None:
    store.save(checkpoint(1))
    (store.folder / ".draft-12345").mkdir()
    loaded = store.latest()
    assert loaded is not None
    assert loaded.step == 1
    store.save(checkpoint(2))
    assert not list(store.folder.glob(".draft-*"))


def test_all_damaged_is_an_error(store: CheckpointStore) -> None:
    (store.save(checkpoint(1)) / "state.pt").write_bytes(b"")
    with pytest.raises(UserError, match=r"all checkpoints .* are damaged"):
        store.latest()


def test_another_format_is_refused_by_name(store: CheckpointStore) -> None:
    manifest = store.save(checkpoint(1)) / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"version": 99}))
    with pytest.raises(UserError, match="format 99"):
        store.latest()


def test_code_in_a_checkpoint_does_not_run(store: CheckpointStore, tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "ran",)  # type: ignore[return-value]

    path = store.save(Checkpoint(step=1, weights={}, state={"x": Malicious()}))
    with pytest.raises(UserError, match="more than plain values"):
        store.latest()
    assert path.is_dir()
    assert not (tmp_path / "ran").exists()


def test_metrics_beyond_the_checkpoint_are_dropped(tmp_path: Path) -> None:
    with MetricsWriter(tmp_path, step=0) as metrics:
        for step in (10, 20, 30):
            metrics.write(step, {"loss": 1.0 / step})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 40, "lo')
    with MetricsWriter(tmp_path, step=20) as metrics:
        metrics.write(30, {"loss": float("nan")})
    assert read_metrics(tmp_path / "metrics.jsonl") == [
        {"step": 10, "loss": 0.1},
        {"step": 20, "loss": 0.05},
        {"step": 30, "loss": None},
    ]


def test_processes_that_write_nothing_leave_the_file_alone(tmp_path: Path) -> None:
    with MetricsWriter(tmp_path, step=0, enabled=False) as metrics:
        metrics.write(1, {"loss": 1.0})
    assert not list(tmp_path.iterdir())
