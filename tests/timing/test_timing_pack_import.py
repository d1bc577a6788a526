"""Tables from other devices: what is refused, and what is taken in."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from latency_samples import DEVICE, small_network, visit_of

from nas.cli.main import run
from nas.errors import UserError
from nas.timing.pack import write_pack
from nas.timing.pack_import import import_table
from nas.timing.protocol import Network, Protocol, Visit
from nas.timing.table import LatencyTable, Source

SOURCE = Source({"name": "space"}, {"name": "coco17"})
PROTOCOL = Protocol(visits=2)
LATER = "2030-01-02T00:00:00+00:00"


def _visit(ms: float, **changes: Any) -> Visit:
    return replace(visit_of((ms, 1.0)), **changes)


def _measured(path: Path, visits: list[tuple[Network, Visit]], **changes: Any) -> Path:
    settings = {"device": DEVICE, "protocol": PROTOCOL, "channel_block": 8, **changes}
    with LatencyTable.open(path, **settings) as table:
        table.add_source(SOURCE)
        for network, visit in visits:
            table.add(network, visit)
    return path


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    networks = [small_network("a"), small_network("b", 8)]
    write_pack(tmp_path / "pack", networks, sources=[SOURCE], protocol=PROTOCOL)
    return tmp_path / "pack"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """As it was copied back: two visits to one network, one to the other."""
    visits = [
        (small_network("a"), _visit(1)),
        (small_network("b"), _visit(2)),
        (small_network("a"), _visit(3)),
    ]
    return _measured(tmp_path / "copied" / "table.jsonl", visits)


def test_a_table_is_taken_in_under_its_device(
    table: Path, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    imported = import_table(table, pack=pack)
    assert imported.table.path == Path("runs/latency") / DEVICE.fingerprint / "space-coco17-1t.jsonl"
    assert imported.added == 3
    assert imported.incomplete == ("b",)
    assert not imported.torn
    there, here = LatencyTable.read(table), LatencyTable.read(imported.table.path)
    assert here.timings() == there.timings()
    assert (here.device, here.protocol, here.channel_block) == (DEVICE, PROTOCOL, 8)
    assert here.sources == [SOURCE]


def test_a_second_import_adds_only_what_is_new(table: Path, pack: Path, tmp_path: Path) -> None:
    target = tmp_path / "own.jsonl"
    import_table(table, pack=pack, table=target)
    before = target.read_bytes()
    assert import_table(table, pack=pack, table=target).added == 0
    assert target.read_bytes() == before
    _measured(table, [(small_network("b"), _visit(2, date=LATER))])
    imported = import_table(table, pack=pack, table=target)
    assert (imported.added, imported.incomplete) == (1, ())
    assert target.read_bytes().startswith(before)
    assert LatencyTable.read(target).visits == {"a": 2, "b": 2}


def test_a_table_of_another_device_in_the_way_is_kept(table: Path, tmp_path: Path) -> None:
    other = _measured(tmp_path / "other.jsonl", [], device=replace(DEVICE, cpu="Other CPU"))
    before = other.read_bytes()
    with pytest.raises(UserError, match="Other CPU"):
        import_table(table, table=other)
    assert other.read_bytes() == before


def test_a_torn_last_line_is_left_out(table: Path, pack: Path, tmp_path: Path) -> None:
    table.write_bytes(table.read_bytes()[:-30])
    imported = import_table(table, pack=pack, table=tmp_path / "own.jsonl")
    assert imported.torn
    assert LatencyTable.read(tmp_path / "own.jsonl").visits == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    ("visits", "changes", "message"),
    [
        ([(small_network("c"), _visit(1))], {}, "networks that the pack"),
        (
            [(replace(small_network("a"), description=(("macs", 1),)), _visit(1))],
            {},
            "networks that the pack",
        ),
        ([], {"protocol": Protocol(visits=3)}, "3 visits.*asks for 2 visits"),
        ([], {"device": replace(DEVICE, threads=2)}, "2 threads.*asks for 1"),
    ],
)
def test_a_table_of_another_pack_is_refused(
    visits: list[tuple[Network, Visit]], changes: dict[str, Any], message: str, pack: Path, tmp_path: Path
) -> None:
    path = _measured(tmp_path / "copied.jsonl", visits, **changes)
    with pytest.raises(UserError, match=message):
        import_table(path, pack=pack, table=tmp_path / "own.jsonl")
    assert not (tmp_path / "own.jsonl").exists()


def test_networks_drawn_from_elsewhere_are_refused(table: Path, tmp_path: Path) -> None:
    other = tmp_path / "other-pack"
    write_pack(other, [small_network("a"), small_network("b")], protocol=PROTOCOL)
    with pytest.raises(UserError, match="another space or skeleton"):
        import_table(table, pack=other, table=tmp_path / "own.jsonl")


@pytest.mark.parametrize(
    "visit",
    [
        _visit(float("inf")),
        _visit(-1.0),
        replace(visit_of(()), operators=()),
        _visit(1, wall_ms=()),
        _visit(1, wall_ms=(0.0,)),
    ],
)
def test_impossible_times_are_refused(visit: Visit, tmp_path: Path) -> None:
    path = _measured(tmp_path / "copied.jsonl", [(small_network("a"), visit)])
    with pytest.raises(
        UserError,
        match=r"a visit to a on 2030.*impossible|line \d+(\.\w+: expected a list|: not a JSON object)",
    ):
        import_table(path, table=tmp_path / "own.jsonl")
    assert not (tmp_path / "own.jsonl").exists()


def test_an_untimed_grouping_stays_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _measured(tmp_path / "copied.jsonl", [(small_network("a"), _visit(1, outside_ms=float("nan")))])
    imported = import_table(path, table=tmp_path / "own.jsonl")
    assert imported.ungrouped == 1
    assert import_table(path, table=tmp_path / "own.jsonl").added == 0
    assert run(["latency", "import", str(path), "--table", str(tmp_path / "own.jsonl"), "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["networks"][0]["outside_ms"] is None
    assert "was not timed on that device" in printed.err


def test_the_commands_pack_and_import(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, space = tmp_path / "pack", ["--space", "demo", "--skeleton", "coco17", "--samples", "2"]
    assert run(["latency", "pack", *space, "--visits", "1", "--out", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (folder / "measure.pyz").is_file()
    assert len(found["networks"]) == 2
    assert run(["latency", "pack", *space, "--out", str(folder)]) == 2
    assert "not empty" in capsys.readouterr().err
    assert run(["latency", "pack"]) == 2
    assert "nothing to pack" in capsys.readouterr().err
