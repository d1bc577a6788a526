"""The commands `nas latency ...`."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from latency_samples import BLOCK, DEVICE, small_model, true_visit
from typer.testing import CliRunner

from nas.cli.latency import app
from nas.cli.latency_inputs import what_to_measure
from nas.errors import UserError
from nas.graph import Tracer
from nas.latency import arch_network
from nas.space import ArchManager, SearchSpace
from nas.timing import Protocol
from nas.timing.networks import file_network
from nas.timing.table import LatencyTable, Source


def _run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def _json(*arguments: object) -> Any:
    return json.loads(_run(*arguments, "--json"))


@pytest.fixture(scope="module")
def predictor(made_up_table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("predictor") / "predictor.json"
    assert _json("fit", made_up_table, "--out", path)["held_out"]["mape"] < 0.01
    return path


@pytest.mark.slow
def test_fit_prints_the_error_beside_the_baseline(made_up_table: Path, tmp_path: Path) -> None:
    printed = _run("fit", made_up_table, "--out", tmp_path / "p.json")
    assert "MACs, linear" in printed
    assert "within 10 %" in printed
    assert DEVICE.fingerprint in printed


@pytest.mark.parametrize(("slower", "told"), [(1.02, False), (1.3, True)])
def test_fit_says_where_labels_cannot_be_relied_on(
    space: SearchSpace, tracer: Tracer, tmp_path: Path, slower: float, told: bool
) -> None:
    table, rng = tmp_path / "table.jsonl", np.random.default_rng(0)
    with LatencyTable.open(table, device=DEVICE, protocol=Protocol(visits=2), channel_block=BLOCK) as rows:
        rows.add_source(Source(space.to_json(), tracer.skeleton.to_json()))
        for arch in {ArchManager(space).sample(rng) for _ in range(6)}:
            quiet = true_visit(tracer(arch))
            operators = tuple(replace(each, ms=slower * each.ms) for each in quiet.operators)
            slowed = replace(quiet, operators=operators, wall_ms=tuple(slower * ms for ms in quiet.wall_ms))
            for visit in (quiet, slowed):
                rows.add(arch_network(arch, tracer), visit)
    result = CliRunner().invoke(app, ["fit", str(table), "--roofline"], catch_exceptions=False)
    assert result.exit_code == 0
    assert ("with more visits" in result.output) == told


def test_predict_names_another_device_and_goes_on_when_told(predictor: Path, tmp_path: Path) -> None:
    arch = tmp_path / "arch.json"
    ArchManager(SearchSpace.load("demo")).smallest().save(arch)
    with pytest.raises(UserError, match=DEVICE.fingerprint):
        _run("predict", predictor, arch, "--skeleton", "coco17")
    found = _json("predict", predictor, arch, "--allow-other-device", "--people", 2)
    assert found["low_ms"] <= found["predicted_ms"] * 1.01
    assert found["predicted_ms"] <= found["high_ms"] * 1.01
    assert found["total_ms"] == pytest.approx(2 * (found["predicted_ms"] + 0.25))


def test_predict_refuses_another_skeleton(predictor: Path, tmp_path: Path) -> None:
    arch = tmp_path / "arch.json"
    ArchManager(SearchSpace.load("demo")).smallest().save(arch)
    with pytest.raises(UserError, match=r"17 joints.*14"):
        _run("predict", predictor, arch, "--skeleton", "crowdpose14", "--allow-other-device")


def test_onnx_files_are_timed_side_by_side(tmp_path: Path) -> None:
    for name, channels in (("a", 4), ("b", 64)):
        (tmp_path / f"{name}.onnx").write_bytes(small_model(channels))
    found = _json("time", tmp_path / "a.onnx", tmp_path / "b.onnx", "--visits", 1)
    assert [network["name"] for network in found["networks"]] == ["a.onnx", "b.onnx"]
    assert found["networks"][0]["ratio"] == {"median": 1, "low": 1, "high": 1}
    assert all(network["measured_ms"] > 0 for network in found["networks"])


def test_files_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such model file"):
        file_network(tmp_path / "missing.onnx")
    (tmp_path / "text.onnx").write_text("text")
    with pytest.raises(UserError, match=r"text\.onnx.*cannot load"):
        file_network(tmp_path / "text.onnx")


def test_a_space_is_measured_and_continued(tmp_path: Path) -> None:
    table = tmp_path / "table.jsonl"
    arguments = (
        "measure",
        "--space",
        "demo",
        "--skeleton",
        "coco17",
        "--samples",
        2,
        "--visits",
        1,
        "--table",
        table,
    )
    found = _json(*arguments)
    manager = ArchManager(SearchSpace.load("demo"))
    names = [manager.smallest().id, manager.largest().id]
    assert [network["name"] for network in found["networks"]] == names
    assert found["networks"][0]["measured_ms"] < found["networks"][1]["measured_ms"]
    before = table.read_bytes()
    assert _json(*arguments) == found
    assert table.read_bytes() == before
    assert set(LatencyTable.read(table).visits.values()) == {1}


def test_a_runs_folder_gives_space_skeleton_and_table(tmp_path: Path) -> None:
    recipe = {
        "name": "mine",
        "space": "person-crop",
        "resolutions": [[96, 64]],
        "skeleton": "crowdpose14",
        "data": {"train": {"annotations": "a.json", "images": "images"}},
        "steps": 1,
    }
    (tmp_path / "config.yaml").write_text(json.dumps(recipe))
    space, skeleton, table = what_to_measure(str(tmp_path), None, 1)
    assert (space.resolutions, skeleton, table) == (
        ((96, 64),),
        "crowdpose14",
        tmp_path / "latency/table.jsonl",
    )
    assert what_to_measure("demo", None, 2)[1:] == ("coco17", Path("runs/latency/demo-coco17-2t.jsonl"))
