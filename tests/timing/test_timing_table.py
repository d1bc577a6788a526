"""The table: what is appended is read back, survives kills, and never mixes devices."""

import errno
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from latency_samples import DEVICE, small_network, visit_of

import nas
from nas.errors import UserError
from nas.timing.protocol import Protocol
from nas.timing.table import LatencyTable, Source

SOURCE = Source({"name": "space"}, {"name": "coco17"})


def _open(path: Path, **changes: object) -> LatencyTable:
    settings = {"device": DEVICE, "protocol": Protocol(), "channel_block": 16} | changes
    return LatencyTable.open(path, **settings)  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A table of two networks, three visits in all."""
    path = tmp_path / "folder" / "table.jsonl"
    with _open(path) as table:
        table.add_source(SOURCE)
        table.add(small_network("a"), visit_of((2.0, 1.0)))
        table.add(small_network("b"), visit_of((5.0, 4.0), loaded=True))
        table.add(small_network("a"), visit_of((1.0, 3.0)))
    return path


def test_what_is_appended_is_read_back(path: Path) -> None:
    table = LatencyTable.read(path)
    assert (table.device, table.protocol, table.channel_block) == (DEVICE, Protocol(), 16)
    assert table.sources == [SOURCE]
    assert table.visits == {"a": 2, "b": 1}
    first, second = table.timings()
    assert first.visits == (visit_of((2.0, 1.0)), visit_of((1.0, 3.0)))
    assert first.description == {"macs": 1000}
    assert second.loaded
    assert all(json.loads(line)["fingerprint"] == table.fingerprint for line in path.read_text().splitlines())


def test_one_network_is_looked_up(path: Path) -> None:
    table = LatencyTable.read(path)
    assert [table.timing(timing.key) for timing in table.timings()] == table.timings()
    with pytest.raises(KeyError):
        table.timing("absent")


def test_a_table_is_continued(path: Path) -> None:
    with _open(path) as table:
        table.add_source(SOURCE)
        table.add(small_network("b"), visit_of((5.0, 4.0)))
    lines = path.read_text().splitlines()
    assert sum(json.loads(line)["row"] in {"table", "source", "network"} for line in lines) == 4
    assert LatencyTable.read(path).visits == {"a": 2, "b": 2}


def test_a_torn_last_line_is_passed_over_and_cut_off(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    assert LatencyTable.read(path).visits == {"a": 1, "b": 1}
    assert path.read_bytes() == content[:-20], "reading must not change the file"
    with _open(path) as table:
        table.add(small_network("a"), visit_of((1.0, 3.0)))
    assert path.read_bytes() == content


def test_a_torn_header_begins_anew(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:30])
    with _open(path):
        pass
    assert LatencyTable.read(path).visits == {}


@pytest.mark.parametrize("change", [{"runtime": "onnxruntime 9.9.9"}, {"cpu": "Other CPU"}, {"threads": 2}])
def test_other_devices_are_refused_with_both_named(path: Path, change: dict[str, object]) -> None:
    other = replace(DEVICE, **change)  # type: ignore[arg-type]
    content = path.read_bytes()
    with pytest.raises(UserError) as refusal:
        _open(path, device=other)
    assert DEVICE.fingerprint in str(refusal.value)
    assert other.fingerprint in str(refusal.value)
    assert path.read_bytes() == content


def test_another_protocol_is_refused(path: Path) -> None:
    with pytest.raises(UserError, match=r"5 visits.*asked for: 6 visits"):
        _open(path, protocol=Protocol(visits=6))


def test_rows_of_another_device_put_in_by_hand_are_found(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    with _open(other, device=replace(DEVICE, threads=2)) as table:
        table.add(small_network("c"), visit_of())
    path.write_bytes(path.read_bytes() + other.read_bytes())
    with pytest.raises(UserError, match=r"line 8.*do not mix"):
        LatencyTable.read(path)


@pytest.mark.parametrize("line", ["no json", "[1]", '{"row": "visit"}'])
def test_a_broken_line_in_the_middle_is_named(path: Path, line: str) -> None:
    first, *others = path.read_text().splitlines()
    fingerprint = json.loads(first)["fingerprint"]
    line = line.replace("{", f'{{"fingerprint": "{fingerprint}", ')
    path.write_text("\n".join([first, line, *others]) + "\n")
    with pytest.raises(UserError, match="line 2"):
        LatencyTable.read(path)


@pytest.mark.parametrize("content", ["", '{"row": "visit"}\n'])
def test_other_files_are_no_tables(tmp_path: Path, content: str) -> None:
    (tmp_path / "file").write_text(content)
    with pytest.raises(UserError):
        LatencyTable.read(tmp_path / "file")
    with pytest.raises(UserError, match="cannot be read"):
        LatencyTable.read(tmp_path / "missing")


def test_a_network_may_not_change_under_its_key(path: Path) -> None:
    with _open(path) as table, pytest.raises(UserError, match="other operators"):
        table.add(small_network("a"), visit_of((1.0, 2.0, 3.0)))
    assert LatencyTable.read(path).visits == {"a": 2, "b": 1}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_two_processes_cannot_write_one_table(path: Path) -> None:
    with _open(path), pytest.raises(UserError, match="another process"):
        _open(path)


def test_a_table_that_was_read_cannot_be_written(path: Path) -> None:
    with pytest.raises(ValueError, match="reading only"):
        LatencyTable.read(path).add(small_network("a"), visit_of())


def test_a_killed_measurement_loses_no_finished_visit(tmp_path: Path) -> None:
    path = tmp_path / "table.jsonl"
    script = Path(__file__).with_name("killed_measurement.py")
    command = [sys.executable, str(script), str(path)]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(Path(nas.__file__).parents[1]), str(script.parents[1]))),
    }
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        for _ in range(4):
            assert process.stdout.readline() == b"visit\n"
        process.kill()
    visits = LatencyTable.read(path).visits
    assert sum(visits.values()) >= 4
    protocol = Protocol(visits=1000, warmups=1, runs=1)
    with LatencyTable.open(path, device=DEVICE, protocol=protocol, channel_block=8) as table:
        assert table.visits == visits
    assert all(json.loads(line) for line in path.read_text().splitlines())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_a_file_system_without_locks_is_written_all_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with _open(path) as table:
        table.add(small_network("b"), visit_of((5.0, 4.0)))
    assert LatencyTable.read(path).visits == {"a": 2, "b": 2}


def _failing_fsync(number: int) -> Callable[[int], None]:
    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_a_file_system_without_flushing_is_written_all_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", _failing_fsync(errno.EINVAL))
    with _open(path) as table:
        table.add(small_network("b"), visit_of((5.0, 4.0)))
    assert LatencyTable.read(path).visits == {"a": 2, "b": 2}


def test_a_disk_that_fails_is_no_such_file_system(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", _failing_fsync(errno.EIO))
    with _open(path) as table, pytest.raises(UserError, match=os.strerror(errno.EIO)):
        table.add(small_network("b"), visit_of((5.0, 4.0)))


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        _open(tmp_path / "file" / "table.jsonl")


def test_a_grouping_that_was_not_timed_is_null(path: Path) -> None:
    unknown = replace(visit_of((5.0, 4.0)), outside_ms=math.nan)
    with _open(path) as table:
        table.add(small_network("c"), unknown)
    assert json.loads(path.read_text().splitlines()[-1])["outside_ms"] is None
    timing = LatencyTable.read(path).timing("c")
    assert math.isnan(timing.outside_ms)
    with _open(path) as table:
        table.add(small_network("c"), visit_of((5.0, 4.0)))
    assert LatencyTable.read(path).timing("c").outside_ms == 0.25


def test_tables_of_one_device_merge(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    with _open(other) as table:
        table.add_source(Source({"name": "second"}, {"name": "coco17"}))
        table.add(small_network("a"), visit_of((2.0, 1.0)))
        table.add(small_network("a"), visit_of((7.0, 7.0)))
        table.add(small_network("c"), visit_of((8.0, 8.0)))
    with _open(path) as table:
        assert table.merge(LatencyTable.read(other)) == 2
        assert table.merge(LatencyTable.read(other)) == 0
    merged = LatencyTable.read(path)
    assert merged.visits == {"a": 3, "b": 1, "c": 1}
    assert [source.space["name"] for source in merged.sources] == ["space", "second"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"device": replace(DEVICE, cpu="Other CPU")}, "Other CPU"),
        ({"protocol": Protocol(visits=9)}, "9 visits"),
        ({"channel_block": 8}, "channel block of 8"),
    ],
)
def test_tables_that_differ_do_not_merge(
    path: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with _open(tmp_path / "other.jsonl", **changes) as table:
        table.add(small_network("d"), visit_of((1.0, 1.0)))
    before = path.read_bytes()
    with _open(path) as table, pytest.raises(UserError, match=message):
        table.merge(LatencyTable.read(tmp_path / "other.jsonl"))
    assert path.read_bytes() == before


def test_merging_finds_networks_that_changed(path: Path, tmp_path: Path) -> None:
    with _open(tmp_path / "other.jsonl") as table:
        table.add(small_network("a"), visit_of((1.0, 2.0, 3.0)))
    with _open(path) as table, pytest.raises(UserError, match="other operators"):
        table.merge(LatencyTable.read(tmp_path / "other.jsonl"))
