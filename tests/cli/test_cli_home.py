"""Nothing leaves the machine, and nothing is left in the home folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nas.demo.people import generate

SWITCH = "ORT_DISABLE_TELEMETRY"
CODE = """
import json, sys
from nas.cli.main import run
for command in json.loads(sys.argv[1]):
    print(command, file=sys.stderr)
    if run(command) != 0:
        sys.exit("failed: " + " ".join(command))
"""


def environment(home: Path, **more: str) -> dict[str, str]:
    """What a new user's shell has: a home folder, and no word on where caches go or what is reported."""
    kept = {
        name: os.environ[name] for name in ("PATH", "PYTHONPATH", "OMP_NUM_THREADS") if name in os.environ
    }
    return {**kept, "HOME": str(home), **more}


def left_in(home: Path) -> list[str]:
    return sorted(str(path.relative_to(home)) for path in home.rglob("*"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def run_at(home: Path, work: Path, commands: list[list[str]]) -> None:
    """Run commands one after the other in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(commands)],
        cwd=work,
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_commands_leave_the_home_folder_empty(home: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    for name in ("train", "val"):
        generate(work / "people" / name, images=6, seed=len(name))
    fields = ["data.root=people", "steps=2", "batch=2", "sampling.pool=20", "calibration.images=4"]
    fields += ["finetune.steps=2", "finetune.batch=2"]
    people = ["--data", "people/val/annotations/people.json", "--images", "people/val/images"]
    settings = [part for field in fields for part in ("--set", field)]
    run_at(
        home,
        work,
        [
            ["space", "show", "demo"],
            ["data", "check", "people/val"],
            ["init", "people/val/annotations/people.json", "--out", "own"],
            ["train", "demo", *settings, "--name", "run"],
            ["latency", "measure", "--space", "runs/run", "--samples", "8", "--visits", "1"],
            ["latency", "fit", "runs/run/latency/table.jsonl"],
            ["search", "runs/run", "--budget-ms", "50", "--trials", "2", "--finalists", "1"],
            ["report", "runs/run"],
        ],
    )
    (subnet,) = (work / "runs" / "run" / "subnets").glob("*.json")
    weights = f"runs/run/subnets/{subnet.stem}.safetensors"
    model = f"runs/run/subnets/{subnet.stem}.onnx"
    everything = ["--min-score", "0", "--min-keypoint", "0"]
    run_at(
        home,
        work,
        [
            ["finetune", "runs/run", str(subnet), "--name", subnet.stem],
            ["export", weights],
            ["export", weights, "--out", "int8.onnx", "--int8", "--even-if-slower", *people],
            ["validate", weights, *people],
            ["validate", model, *people],
            ["predict", model, "people/val/images"],
            ["data", "label", people[1], "--model", model, "--out", "labels.json", *everything],
            ["latency", "time", model, "--visits", "1"],
            ["latency", "pack", "--space", "runs/run", "--samples", "2", "--out", "pack", "--visits", "1"],
        ],
    )
    assert left_in(home) == []
    done = subprocess.run(
        [sys.executable, "pack/measure.pyz"], cwd=work, env=environment(home), capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    assert left_in(home) == []


@pytest.mark.parametrize("module", ["nas", "nas.runtime", "nas.latency", "nas.space", "nas.cli.main"])
def test_every_way_in_switches_reports_off_before_onnxruntime_is_there(home: Path, module: str) -> None:
    """Whatever is imported of the package; the switch counts when onnxruntime is imported, not later."""
    code = f"""
import os, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime":
            assert os.environ.get({SWITCH!r}) == "1", "onnxruntime came first"
sys.meta_path.insert(0, Watch())
import {module}
assert os.environ[{SWITCH!r}] == "1"
"""
    subprocess.run([sys.executable, "-c", code], env=environment(home), check=True)


def test_a_session_leaves_the_home_folder_empty(home: Path) -> None:
    code = (
        "from nas.timing.channel_block import probe_model\n"
        "from nas.timing.session import open_session\n"
        "open_session(probe_model(), threads=1, name='probe')"
    )
    subprocess.run([sys.executable, "-c", code], env=environment(home), check=True)
    assert left_in(home) == []


def test_plots_leave_the_home_folder_empty(home: Path) -> None:
    code = "from nas.report.figures import new_figure, png; assert png(new_figure()[0])"
    subprocess.run([sys.executable, "-c", code], env=environment(home), check=True)
    assert left_in(home) == []


def test_who_wants_reports_may_have_them(home: Path) -> None:
    code = f"import os, nas; print(os.environ[{SWITCH!r}])"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment(home, **{SWITCH: "0"}), capture_output=True, text=True)
    assert done.stdout.strip() == "0"


def test_onnxruntime_that_came_before_is_asked_to_be_quiet(home: Path) -> None:
    code = """
import sys, types
fake = types.ModuleType("onnxruntime")
fake.disable_telemetry_events = lambda: print("quiet")
sys.modules["onnxruntime"] = fake
import nas
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment(home), capture_output=True, text=True)
    assert done.stdout.strip() == "quiet"
