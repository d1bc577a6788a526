"""`nas latency predict` with what is paid besides the network."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from latency_samples import small_model
from typer.testing import CliRunner

from nas.cli.latency import app
from nas.errors import UserError
from nas.latency import LatencyPredictor
from nas.space import ArchManager, SearchSpace
from nas.timing import LatencyTable, describe_device


@pytest.fixture(scope="module")
def predictor(made_up_table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the made-up machine."""
    path = tmp_path_factory.mktemp("predict") / "predictor.json"
    LatencyPredictor.fit(LatencyTable.read(made_up_table), boosted=False).save(path)
    return path


@pytest.fixture
def here(predictor: Path, tmp_path: Path) -> Path:
    """The same, as though it were of this machine."""
    path = tmp_path / "here.json"
    foreign = LatencyPredictor.load(predictor, allow_other_device=True)
    replace(foreign, device=describe_device(threads=1)).save(path)
    return path


@pytest.fixture
def arch(tmp_path: Path) -> Path:
    path = tmp_path / "arch.json"
    ArchManager(SearchSpace.load("demo")).smallest().save(path)
    return path


def predicted(*arguments: object) -> dict[str, Any]:
    options = [str(argument) for argument in ("predict", *arguments, "--json")]
    result = CliRunner().invoke(app, options, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    figures: dict[str, Any] = json.loads(result.stdout)
    return figures


def test_a_total_is_the_sum_of_its_parts(predictor: Path, arch: Path) -> None:
    foreign = "--allow-other-device"
    found = predicted(predictor, arch, foreign, "--people", 3, "--detector-ms", 4.5)
    once = found["predicted_ms"] + found["grouping_ms"]
    assert found["grouping_ms"] == pytest.approx(0.25)
    assert found["detector_ms"] == 4.5
    assert found["total_ms"] == pytest.approx(4.5 + 3 * once)
    assert found["total_low_ms"] == pytest.approx(4.5 + 3 * (found["low_ms"] + 0.25))
    assert found["total_high_ms"] == pytest.approx(4.5 + 3 * (found["high_ms"] + 0.25))


def test_a_detector_is_timed_here(here: Path, arch: Path, tmp_path: Path) -> None:
    model = tmp_path / "detector.onnx"
    model.write_bytes(small_model(64))
    found = predicted(here, arch, "--detector", model)
    assert found["detector_ms"] > 0
    parts = found["detector_ms"] + found["predicted_ms"] + found["grouping_ms"]
    assert found["total_ms"] == pytest.approx(parts)


def test_a_detector_is_not_timed_for_another_device(predictor: Path, arch: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give `detector_ms`"):
        predicted(predictor, arch, "--allow-other-device", "--detector", tmp_path / "detector.onnx")


def test_one_detector_is_enough(here: Path, arch: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give one of them"):
        predicted(here, arch, "--detector", tmp_path / "d.onnx", "--detector-ms", 3)


def test_a_grouping_that_was_never_timed_leaves_the_network(
    predictor: Path, arch: Path, tmp_path: Path
) -> None:
    found = LatencyPredictor.load(predictor, allow_other_device=True)
    path = tmp_path / "ungrouped.json"
    replace(found, outside_ms={}).save(path)
    whole = predicted(predictor, arch, "--allow-other-device", "--people", 2)
    alone = predicted(path, arch, "--allow-other-device", "--people", 2)
    unknown = {"grouping_ms", "total_ms", "total_low_ms", "total_high_ms"}
    assert {name for name, value in alone.items() if value is None} == {*unknown, "remark"}
    assert {k: v for k, v in alone.items() if k not in unknown} == {
        k: v for k, v in whole.items() if k not in unknown
    }
    options = ["predict", str(path), str(arch), "--allow-other-device"]
    result = CliRunner().invoke(app, options, catch_exceptions=False)
    assert result.exit_code == 0
    assert f"predicted {alone['predicted_ms']:.2f} ms" in result.stdout
    assert "no time for the grouping of" in result.stdout
    assert "nan" not in result.stdout


def test_a_predictor_of_another_onnxruntime_is_used_with_a_remark(
    here: Path, arch: Path, tmp_path: Path
) -> None:
    path = tmp_path / "older.json"
    found = LatencyPredictor.load(here)
    replace(found, device=replace(found.device, runtime="onnxruntime 0.1")).save(path)
    own, older = predicted(here, arch), predicted(path, arch)
    assert own["remark"] is None
    assert "onnxruntime 0.1" in older["remark"]
    assert older["predicted_ms"] == own["predicted_ms"]
    assert older["low_ms"] < own["low_ms"] < own["high_ms"] < older["high_ms"]
    replace(found, device=replace(found.device, runtime="onnxruntime 0.1", threads=1, cores=99)).save(path)
    with pytest.raises(UserError, match="predicts for"):
        predicted(path, arch)
