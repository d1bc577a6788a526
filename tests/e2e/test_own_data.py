"""From a COCO file of one's own to ONNX files and a report: two commands, killed twice, other folders."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nas.runs import RunFolder, read_metrics
from nas.space import Arch
from nas.train.checkpoint import CheckpointStore

NINE = {
    "Neck": "neck", "L_Shoulder": "left_shoulder", "R_Shoulder": "right_shoulder", "L_Hip": "left_hip",
    "R_Hip": "right_hip", "L_Knee": "left_knee", "R_Knee": "right_knee", "L_Ankle": "left_ankle",
    "R_Ankle": "right_ankle",
}  # fmt: skip
LIMBS = [[1, 2], [1, 3], [2, 4], [3, 5], [4, 6], [5, 7], [6, 8], [7, 9]]
SHORT = (
    "epochs=4", "schedule.warmup=5", "checkpoint.every=5", "validation.every=null", "workflow.timed=8",
    "workflow.visits=1", "workflow.trials=8", "finetune.epochs=2",
)  # fmt: skip
"""As much as shows that everything works, not as much as makes good networks."""


@pytest.fixture
def jumpers(shared_data: Path, tmp_path: Path) -> Path:
    """A COCO file of 300 people with nine joints under names of its own."""
    content = json.loads((shared_data / "lsp/annotations/crowdpose14_train.json").read_text())
    names = content["categories"][0]["keypoints"]
    places = [names.index(name) for name in NINE.values()]
    images = content["images"][:300]
    ids = {image["id"] for image in images}
    people = []
    for person in content["annotations"]:
        if person["image_id"] in ids:
            joints = [person["keypoints"][3 * at : 3 * at + 3] for at in places]
            labelled = sum(joint[2] > 0 for joint in joints)
            keypoints = [value for joint in joints for value in joint]
            people.append({**person, "keypoints": keypoints, "num_keypoints": labelled})
    kind = {"id": 1, "name": "jumper", "keypoints": list(NINE), "skeleton": LIMBS}
    path = tmp_path / "project" / "jumpers.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"images": images, "annotations": people, "categories": [kind]}))
    return path


def start(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "nas", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: "subprocess.Popen[str]") -> tuple[str, str]:
    shown, told = process.communicate(timeout=1500)
    assert process.returncode == 0, told
    return shown, told


def kill_once(process: "subprocess.Popen[str]", reached: Callable[[], bool]) -> None:
    """Kill -9 a process as soon as it has come so far."""
    deadline = time.monotonic() + 1200
    while not reached():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.kill()
    process.communicate()
    assert process.returncode == -9


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on this system")
def test_own_photographs_become_networks_although_the_way_is_killed_twice(
    jumpers: Path, shared_data: Path, tmp_path: Path
) -> None:
    images = str(shared_data / "lsp" / "images")
    shown, _ = finish(start(tmp_path / "a", "init", str(jumpers), "--images", images))
    assert "L_Knee / R_Knee" in shown
    recipe = "../project/recipe.yaml"
    options = [part for field in SHORT for part in ("--set", field)]
    run = RunFolder(jumpers.parent / "runs" / "jumpers")

    store = CheckpointStore(run.path / "checkpoints", keep=2)
    kill_once(start(tmp_path / "a", "run", recipe, *options), lambda: len(store.paths()) > 1)
    assert not run.weights_file.exists()
    evaluations = run.search_folder / "evaluations.jsonl"
    kill_once(
        start(tmp_path / "b", "run", recipe, *options),
        lambda: evaluations.is_file() and evaluations.read_bytes().count(b"\n") >= 3,
    )
    assert not run.results_file.exists()
    weights, scored = run.weights_file.read_bytes(), evaluations.read_bytes()
    shown, told = finish(start(jumpers.parent, "run", "recipe.yaml", "--json", *options))
    assert "Traceback" not in told
    assert told.count("Done before.") == 3
    assert run.weights_file.read_bytes() == weights
    assert evaluations.read_bytes().startswith(scored[: scored.rfind(b"\n") + 1])  # the last may be torn

    # Every step of the supernet stands there once, and no network was scored twice.
    steps = [row["step"] for row in read_metrics(run.metrics_file)]
    assert steps == sorted(set(steps))
    rows = [json.loads(line) for line in evaluations.read_text().splitlines()]
    assert len({(row["key"], row["id"]) for row in rows}) == len(rows)

    summary = json.loads(shown)
    assert summary == json.loads(run.summary_file.read_text())
    assert summary["subnets"]
    for subnet in summary["subnets"]:
        assert subnet["measured_ms"] <= subnet["budget_ms"]
        assert Arch.load(run.subnets_folder / f"{subnet['name']}.json").id == subnet["arch"]
    report = run.report_file.read_text()
    assert all(subnet["name"] in report for subnet in summary["subnets"])

    picture = str(Path(images) / "im0001.jpg")
    out = ["--out", str(tmp_path / "drawn"), "--min-score", "0", "--json"]
    shown, _ = finish(start(tmp_path / "c", "predict", summary["subnets"][0]["onnx"], picture, *out))
    assert "keypoints" in shown
