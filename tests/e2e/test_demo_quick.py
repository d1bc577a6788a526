"""The short real run of the whole pipeline: every stage for real, none long enough to learn much."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nas.space import Arch

WEIGHTS = ".safetensors"


def start(folder: Path, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "nas", "demo", "--quick", "--run", str(folder), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Started in the background of a script, this process would hand on that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def finish(process: "subprocess.Popen[str]") -> tuple[str, str]:
    shown, told = process.communicate(timeout=900)
    assert process.returncode == 0, told
    return shown, told


def validated(model: Path, people: Path) -> dict[str, float]:
    """What `nas validate --json` says of a model on a folder of generated people."""
    data = ["--data", str(people / "annotations/people.json"), "--images", str(people / "images")]
    command = [sys.executable, "-m", "nas", "validate", str(model), "--json", *data]
    figures: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return figures


def check_summary(folder: Path, summary: dict[str, Any]) -> None:
    assert summary == json.loads((folder / "summary.json").read_text())
    subnets = summary["subnets"]
    assert len({subnet["budget_ms"] for subnet in subnets}) + len(summary["unmet_budgets_ms"]) == 2
    assert subnets
    for subnet in subnets:
        # What was measured decides: who was predicted to be slower may keep a budget.
        assert 0 < subnet["measured_ms"] <= subnet["budget_ms"]
        assert subnet["predicted_ms"] > 0
        assert 0 <= subnet["inherited_ap"] <= 1
        assert 0 <= subnet["finetuned_ap"] <= subnet["finetuned_ap50"] <= 1
        assert 0 <= subnet["drawn_people"] <= subnet["matched_people"]
        assert Arch.load(folder / "subnets" / f"{subnet['name']}.json").id == subnet["arch"]
    assert 0 <= summary["baseline_ap"] <= summary["baseline_ap50"] <= 1


@pytest.mark.e2e
def test_the_whole_pipeline(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    shown, told = finish(start(folder, "--json"))
    summary = json.loads(shown)
    check_summary(folder, summary)
    assert "7/7" in told
    assert (folder / "validation_people.png").stat().st_size > 10_000

    # What was exported runs by itself: in a process that cannot import torch.
    code = (
        "import sys; sys.modules['torch'] = None; import numpy as np; "
        "from nas.runtime import OnnxModel, PosePipeline; "
        "poses = PosePipeline(OnnxModel(sys.argv[1]))(np.zeros((90, 60, 3), np.uint8)); "
        "print(poses.keypoints.shape)"
    )
    onnx = summary["subnets"][0]["onnx"]
    done = subprocess.run([sys.executable, "-c", code, onnx], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(1, 17, 3)"

    # Torch weights and the ONNX file score the same, through the command.
    scores = [
        validated(path, folder / "people" / "val") for path in (Path(onnx), Path(onnx).with_suffix(WEIGHTS))
    ]
    assert scores[0]["PCK_torso@0.2"] == pytest.approx(scores[1]["PCK_torso@0.2"], abs=0.01)
    assert scores[0]["AP"] == pytest.approx(summary["subnets"][0]["finetuned_ap"], abs=1e-9)

    # A second call finds everything done and says the same.
    evaluations = (folder / "search" / "evaluations.jsonl").read_text()
    again = json.loads(finish(start(folder, "--json"))[0])
    assert (folder / "search" / "evaluations.jsonl").read_text() == evaluations
    assert [s["arch"] for s in again["subnets"]] == [s["arch"] for s in summary["subnets"]]
    assert [s["finetuned_ap"] for s in again["subnets"]] == [s["finetuned_ap"] for s in summary["subnets"]]


@pytest.mark.slow
def test_ctrl_c_leaves_a_run_that_the_same_command_resumes(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    process = start(folder)
    deadline = time.monotonic() + 600
    # Not before training has written something to go on from.
    while not list((folder / "checkpoints").glob("*")) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in told
    assert told.strip().splitlines()[-1].startswith("Interrupted.")
    summary = json.loads(finish(start(folder, "--json"))[0])
    check_summary(folder, summary)
