"""The load gate: others' share of the processor from counted time."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from nas.timing.load import CpuReading, LoadGate, read_cpu


def _reader(readings: Iterable[CpuReading]) -> Callable[[], CpuReading | None]:
    remaining = iter(readings)
    return lambda: next(remaining)


def _reading(wall: float, core_0: float, core_1: float, own: float) -> CpuReading:
    return CpuReading(wall=wall, busy={0: core_0, 1: core_1}, own=own)


def test_stat_is_read_per_core_without_idle_time_and_guests(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text(
        "cpu  300 0 0 0 0 0 0 0 0 0\n"
        "cpu0 100 20 30 5000 40 5 6 7 50 0\n"
        "cpu1 10 0 0 9000 0 0 0 0 0 0\n"
        "intr 1 2 3\n"
    )
    reading = read_cpu(stat)
    assert reading is not None
    ticks = {core: round(busy * 100) for core, busy in reading.busy.items()}
    assert ticks == {0: 100 + 20 + 30 + 5 + 6 + 7, 1: 10}


def test_own_time_is_no_foreign_load() -> None:
    gate = LoadGate((0,), read=_reader([_reading(0, 0, 0, 0), _reading(1, 0.98, 0, 0.98)]))
    assert gate.foreign() == pytest.approx(0.0)


def test_a_neighbour_on_the_pinned_core_counts_there() -> None:
    # Others use 0.3 s of core 0 during one second: 15 % of the machine, 30 % of the core that matters.
    readings = [_reading(0, 0, 0, 0), _reading(1, 0.9, 0, 0.6)]
    assert LoadGate((0,), read=_reader(readings)).foreign() == pytest.approx(0.3)
    assert LoadGate((), read=_reader(readings)).foreign() == pytest.approx(0.15)


def test_a_busy_machine_counts_even_off_the_pinned_core() -> None:
    gate = LoadGate((0,), read=_reader([_reading(0, 0, 0, 0), _reading(1, 0.5, 1.0, 0.5)]))
    assert gate.foreign() == pytest.approx(0.5)


def test_a_short_visit_is_judged_over_the_window() -> None:
    readings = [
        _reading(0.0, 0.0, 0, 0),  # the gate is made
        _reading(0.4, 0.2, 0, 0),  # before the first visit
        _reading(0.6, 0.3, 0, 0),  # after it: since the start, 0.3 of 0.6 s
        _reading(1.6, 0.3, 0, 0),  # before the second
        _reading(1.7, 0.3, 0, 0),  # after it: since 0.6, nothing in 1.1 s
    ]
    gate = LoadGate((0,), window=0.5, read=_reader(readings))
    gate.mark()
    assert gate.foreign() == pytest.approx(0.5)
    gate.mark()
    assert gate.foreign() == pytest.approx(0.0)


def test_a_system_that_does_not_tell_the_load(tmp_path: Path) -> None:
    gate = LoadGate(read=lambda: read_cpu(tmp_path / "missing"))
    gate.mark()
    assert not gate.watching
    assert gate.foreign() is None


@pytest.mark.parametrize("content", ["", "cpu  1 2 3\n"])
def test_a_stat_that_names_no_core_tells_nothing(content: str, tmp_path: Path) -> None:
    (tmp_path / "stat").write_text(content)
    assert read_cpu(tmp_path / "stat") is None


def test_a_system_without_ticks_does_not_tell_the_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stat").write_text("cpu0 100 20 30 5000 40 5 6 7 50 0\n")
    assert read_cpu(tmp_path / "stat") is not None
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert read_cpu(tmp_path / "stat") is None
