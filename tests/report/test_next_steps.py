"""Commands to go on with."""

from html import unescape
from pathlib import Path

import pytest

from nas.report.next_steps import next_steps_section
from nas.report.sections import MissingPartError
from nas.runs import RunFolder

RESULTS = {"subnets": [{"name": "5ms-aaa"}]}


def lines(run: RunFolder) -> list[str]:
    return unescape(next_steps_section(run, RESULTS)).splitlines()


def test_a_subnet_goes_on_from_where_it_is(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "a run")
    subnets = run.subnets_folder
    subnets.mkdir(parents=True)
    assert f"nas finetune '{run.path}' '{subnets / '5ms-aaa.json'}'" in lines(run)
    assert f"nas diagnose '{run.path}'" in lines(run)
    (subnets / "5ms-aaa.safetensors").touch()
    assert f"nas export '{subnets / '5ms-aaa.safetensors'}'" in lines(run)
    assert not any(line.startswith("nas finetune") for line in lines(run))
    (subnets / "5ms-aaa.onnx").touch()
    run.diagnosis_file.parent.mkdir()
    run.diagnosis_file.touch()
    assert f"nas predict '{subnets / '5ms-aaa.onnx'}' PICTURES" in lines(run)
    assert not any(line.startswith(("nas export", "nas diagnose")) for line in lines(run))


def test_without_a_subnet_there_is_none() -> None:
    for results in (None, {"subnets": []}):
        with pytest.raises(MissingPartError):
            next_steps_section(RunFolder("run"), results)
