"""Packs: what they hold, and that their program measures with numpy and onnxruntime alone."""

import json
import os
import pty
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from bare_environment import bare_python
from latency_samples import small_network

from nas.errors import UserError
from nas.latency.measure import draw_networks, measure_space
from nas.space import ArchManager, SearchSpace, Skeleton
from nas.timing import on_device
from nas.timing.channel_block import detect_channel_block
from nas.timing.grouping import Grouping
from nas.timing.manifest import Manifest
from nas.timing.networks import grouping
from nas.timing.pack import needed_packages, write_pack
from nas.timing.pack_program import build_program
from nas.timing.protocol import Network, Protocol
from nas.timing.table import LatencyTable, Source

# Nothing is discarded: the tests' machine is never quiet.
PROTOCOL = Protocol(visits=2, warmups=1, runs=1, patience=0)
SKELETON = Skeleton.load("coco17")


@pytest.fixture(scope="module")
def networks() -> list[Network]:
    return draw_networks(
        SearchSpace.load("person-crop"),
        SKELETON,
        samples=3,
        channel_block=detect_channel_block(),
        rng=np.random.default_rng(0),
    )


def _pack(folder: Path, networks: list[Network], *, visits: int = 2) -> Path:
    source = Source(SearchSpace.load("person-crop").to_json(), SKELETON.to_json())
    write_pack(folder, networks, sources=[source], protocol=replace(PROTOCOL, visits=visits))
    return folder


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], dict[str, str]]:
    return bare_python(tmp_path_factory.mktemp("bare") / "site")


def test_a_pack_holds_what_would_be_measured_here(networks: list[Network], tmp_path: Path) -> None:
    manifest = Manifest.read(_pack(tmp_path / "pack", networks))
    timings = measure_space(
        SearchSpace.load("person-crop"),
        SKELETON,
        samples=3,
        table=tmp_path / "here.jsonl",
        protocol=replace(PROTOCOL, visits=1),
    )
    packed = [network.network(tmp_path / "pack") for network in manifest.networks]
    assert [network.key for network in packed] == [timing.key for timing in timings]
    assert [dict(network.description) for network in packed] == [timing.description for timing in timings]
    assert [network.model() for network in packed] == [network.model() for network in networks]
    assert list(manifest.sources) == LatencyTable.read(tmp_path / "here.jsonl").sources
    assert manifest.protocol == PROTOCOL


def test_the_program_measures_with_numpy_and_onnxruntime_alone(
    networks: list[Network], bare: tuple[list[str], dict[str, str]], tmp_path: Path
) -> None:
    pack = _pack(tmp_path / "pack", networks)
    python, environment = bare
    for package in ("pydantic", "yaml", "scipy", "onnx", "typer", "cv2"):
        missing = subprocess.run([*python, "-c", f"import {package}"], env=environment, capture_output=True)
        assert missing.returncode != 0, f"the bare environment has {package}"
    command = [*python, str(pack / "measure.pyz")]
    first = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    path = Path(first.stdout.strip())
    assert path.parent == pack
    table = LatencyTable.read(path)
    assert table.visits == {network.key: 2 for network in networks}
    assert table.channel_block == detect_channel_block()
    assert path.name == f"table-{table.device.fingerprint}.jsonl"
    for timing, network in zip(
        sorted(table.timings(), key=lambda timing: timing.key),
        sorted(networks, key=lambda network: network.key),
        strict=True,
    ):
        assert timing.description == dict(network.description)
        assert timing.measured_ms > 0
        assert timing.outside_ms > 0
    before = path.read_bytes()
    second = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert (second.returncode, path.read_bytes()) == (0, before), "nothing was left to measure"


@contextmanager
def _running(
    command: list[str], environment: dict[str, str]
) -> "Iterator[tuple[subprocess.Popen[bytes], int]]":
    """A program at a terminal of its own, and the terminal's other end."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=its,
        env=environment,
        # Whoever starts the tests in the background has Ctrl-C ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    os.close(its)
    try:
        yield process, ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _read_until(terminal: int, wanted: bytes) -> bytes:
    seen = b""
    while wanted not in seen:
        seen += os.read(terminal, 1024)
    return seen


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals and signals")
def test_a_killed_program_loses_at_most_one_visit(
    networks: list[Network], bare: tuple[list[str], dict[str, str]], tmp_path: Path
) -> None:
    pack = _pack(tmp_path / "pack", networks[:1], visits=1000)
    path, (python, environment) = tmp_path / "table.jsonl", bare
    command = [*python, str(pack / "measure.pyz"), "--table", str(path)]
    with _running(command, environment) as (process, terminal):
        _read_until(terminal, b"visits 5/1,000")
        process.send_signal(signal.SIGKILL)
        process.wait()
    (kept,) = LatencyTable.read(path).visits.values()
    assert kept >= 4
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    # What a power cut may leave of the next row.
    path.write_bytes(whole + b'{"fingerprint":"')
    with _running(command, environment) as (process, terminal):
        _read_until(terminal, f"visits 2/{1000 - kept}".encode())
        process.send_signal(signal.SIGTERM)
        said = _read_until(terminal, b"goes on there")
        assert process.wait() == 128 + signal.SIGTERM
    assert b"Stopped after" in said
    assert path.read_bytes().startswith(whole)
    assert all(json.loads(line) for line in path.read_text().splitlines())
    (now,) = LatencyTable.read(path).visits.values()
    assert now >= kept + 1


def test_a_damaged_copy_is_named(
    networks: list[Network], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack = _pack(tmp_path / "pack", networks)
    file = pack / Manifest.read(pack).networks[1].model.file
    file.write_bytes(file.read_bytes()[:-10])
    assert on_device.main(pack, []) == 2
    assert file.name in capsys.readouterr().err
    file.unlink()
    assert on_device.main(pack, []) == 2
    assert file.name in capsys.readouterr().err
    assert not list(pack.glob("table-*"))


def test_a_folder_without_manifest_is_no_pack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert on_device.main(tmp_path, []) == 2
    assert "is no pack" in capsys.readouterr().err


def _grouped(codec: str | None = None) -> Network:
    """A network on crops whose codec may be missing."""
    work = grouping(ArchManager(SearchSpace.load("person-crop")).smallest(), SKELETON)
    return replace(small_network("a"), model=_direct_model, outside=replace(work, codec=codec or work.codec))


def _direct_model() -> bytes:
    """A model with the outputs of a head on crops."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Reshape", ["images", "shape"], ["keypoints"]),
        helper.make_node("Reshape", ["mean", "one"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "direct",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 17, 1])],
        [
            helper.make_tensor_value_info("keypoints", TensorProto.FLOAT, [1, 1, 17, 3]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 1]),
        ],
        [
            helper.make_tensor("shape", TensorProto.INT64, [4], [1, 1, 17, 3]),
            helper.make_tensor("one", TensorProto.INT64, [2], [1, 1]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def test_a_grouping_that_cannot_run_is_refused_then_left_out_then_added(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "table.jsonl"
    write_pack(tmp_path / "without", [_grouped("absent_package.codec:Codec")], protocol=PROTOCOL)
    assert on_device.main(tmp_path / "without", ["--table", str(table)]) == 2
    assert "absent_package" in capsys.readouterr().err
    assert not table.exists()

    assert on_device.main(tmp_path / "without", ["--table", str(table), "--without-grouping"]) == 0
    assert "Not timed here: the grouping" in capsys.readouterr().err
    visits = [row for row in map(json.loads, table.read_text().splitlines()) if row["row"] == "visit"]
    assert [row["outside_ms"] for row in visits] == [None, None]
    (timing,) = LatencyTable.read(table).timings()
    assert np.isnan(timing.outside_ms)
    assert timing.measured_ms > 0

    write_pack(tmp_path / "with", [_grouped()], protocol=PROTOCOL)
    assert on_device.main(tmp_path / "with", ["--table", str(table)]) == 0
    (timing,) = LatencyTable.read(table).timings()
    assert len(timing.visits) == 3
    assert timing.outside_ms > 0
    before = table.read_bytes()
    assert on_device.main(tmp_path / "with", ["--table", str(table)]) == 0
    assert table.read_bytes() == before


def test_the_manifest_is_read_as_it_was_written(networks: list[Network], tmp_path: Path) -> None:
    folder = _pack(tmp_path / "pack", networks)
    manifest = Manifest.read(folder)
    (tmp_path / "again").mkdir()
    # Skeletons come back as plain values, whose keypoints are all that these codecs need.
    restored = [
        replace(network, grouping=replace(network.grouping, skeleton=SKELETON))  # type: ignore[type-var]
        for network in manifest.networks
    ]
    replace(manifest, networks=restored).write(tmp_path / "again")
    assert (tmp_path / "again" / "manifest.json").read_text() == (folder / "manifest.json").read_text()


def test_a_packed_grouping_does_the_same_work() -> None:
    arch = ArchManager(SearchSpace.load("litepose")).smallest()
    work = grouping(arch, SKELETON, people=4)
    copy = Grouping.from_json(json.loads(json.dumps(work.to_json())))
    shapes = {"candidates": (17, 30, 4), "heatmap": (17, 128, 128), "tag_map": (17, 128, 128, 1)}
    here, there = work(shapes)(), copy(shapes)()
    np.testing.assert_array_equal(here.keypoints, there.keypoints)  # type: ignore[attr-defined]
    assert len(there) == 4  # type: ignore[arg-type]


def test_the_program_is_this_packages_own_code() -> None:
    content = build_program()
    assert content == build_program()
    root = Path(on_device.__file__).parents[2]
    with zipfile.ZipFile(BytesIO(content)) as archive:
        names = set(archive.namelist())
        for name in names - {"__main__.py"}:
            assert archive.read(name).decode() == (root / name).read_text(encoding="utf-8")
    packed = {path.relative_to(root).as_posix() for path in (root / "nas" / "timing").glob("*.py")}
    assert packed | {"nas/codecs/simcc.py"} <= names


def test_what_is_needed_there_depends_on_the_heads(networks: list[Network], tmp_path: Path) -> None:
    crops = Manifest.read(_pack(tmp_path / "crops", networks))
    assert needed_packages(crops) == ("numpy", "onnxruntime")
    work = grouping(ArchManager(SearchSpace.load("litepose")).smallest(), SKELETON)
    images = write_pack(tmp_path / "images", [replace(small_network(), outside=work)])
    assert needed_packages(images) == ("numpy", "onnxruntime", "scipy")
    assert "--without-grouping" in (tmp_path / "images" / "README.md").read_text()
    assert "scipy" not in (tmp_path / "crops" / "README.md").read_text()


def test_a_taken_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        write_pack(tmp_path, [small_network()])
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_half_a_pack_never_appears(tmp_path: Path) -> None:
    def fail() -> bytes:
        raise KeyboardInterrupt

    broken = replace(small_network("b"), model=fail)
    with pytest.raises(KeyboardInterrupt):
        write_pack(tmp_path / "pack", [small_network("a"), broken])
    assert not (tmp_path / "pack").exists()
    write_pack(tmp_path / "pack", [small_network("a")])
    assert [path.name for path in tmp_path.iterdir()] == ["pack"]
