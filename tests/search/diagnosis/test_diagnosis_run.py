"""Diagnosing a run: what is trained, what is kept, what is added, what is refused."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import nas
import nas.search.diagnosis.run
import nas.train.finetune
from nas.cli.main import run as run_command
from nas.errors import UserError
from nas.interrupt import Paused
from nas.models import read_weights
from nas.report.diagnosis_files import write_diagnosis
from nas.report.run_report import write_report
from nas.runs import RunFolder
from nas.search.diagnosis.run import diagnose_run
from nas.search.diagnosis.settings import DiagnosisSettings
from nas.train.clock import Deadline

TINY = DiagnosisSettings(
    networks=4, seeds=2, images=8, bins=1, bin_width=0.5, metric="PCK_torso@0.5", allow_other_device=True
)


def trained(run: RunFolder) -> list[str]:
    return sorted(
        str(path.relative_to(run.diagnosis_folder)) for path in run.diagnosis_folder.rglob("*.safetensors")
        if path.parent.name == "subnets"
    )  # fmt: skip


def plan_of(run: RunFolder) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run.diagnosis_folder / "plan.json").read_text())
    return content


def test_a_run_is_diagnosed_and_added_to(tiny_run: RunFolder, steps: list[int]) -> None:
    found = diagnose_run(tiny_run, TINY, publish=write_diagnosis)
    assert json.loads(tiny_run.diagnosis_file.read_text()) == found
    assert steps == [0, 1] * 8  # 8 images in batches of 4, each of four networks with two seeds
    ids = [row["arch"] for row in found["networks"]]
    assert trained(tiny_run) == sorted(f"seed-{s}/subnets/{id}.safetensors" for s in (0, 1) for id in ids)
    first, second = (read_weights(tiny_run.diagnosis_folder / name)[1] for name in trained(tiny_run)[::4])
    assert any(not first[name].equal(second[name]) for name in first)
    assert found["seeds"] == 2
    assert all(len(row["alone"]) == 2 for row in found["networks"])
    assert tiny_run.diagnosis_file.with_suffix(".md").read_text().count(ids[0]) == 1
    assert tiny_run.diagnosis_file.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    page = write_report(tiny_run)
    assert "4 networks of" in page.path.read_text()
    assert not any("diagnosis" in part for part in page.missing)

    # The same again trains and scores nothing, even without a predictor and weights; more adds to it.
    steps.clear()
    for name in trained(tiny_run):
        (tiny_run.diagnosis_folder / name).unlink()
    kept = (tiny_run.diagnosis_folder / "evaluations.jsonl").read_text()
    predictor = tiny_run.predictor_file.rename(tiny_run.path / "predictor.json")
    assert diagnose_run(tiny_run, DiagnosisSettings(metric=TINY.metric)) == found
    assert diagnose_run(tiny_run, TINY) == found
    assert not steps
    assert (tiny_run.diagnosis_folder / "evaluations.jsonl").read_text() == kept
    predictor.rename(tiny_run.predictor_file)
    more = diagnose_run(tiny_run, replace(TINY, networks=5))
    assert steps == [0, 1] * 2
    assert [row for row in more["networks"] if row["arch"] in ids] == found["networks"]
    assert (tiny_run.diagnosis_folder / "evaluations.jsonl").read_text().startswith(kept)


@pytest.mark.slow
def test_other_weights_of_the_supernet_are_scored_anew_and_nothing_is_trained_again(
    tiny_run: RunFolder, steps: list[int]
) -> None:
    import torch

    from nas.models import PoseNet, save_weights

    settings = replace(TINY, seeds=1)
    found = diagnose_run(tiny_run, settings)
    steps.clear()
    torch.manual_seed(1)
    save_weights(tiny_run.weights_file, PoseNet(tiny_run.config().load_space(), "coco17"))
    again = diagnose_run(tiny_run, settings)
    assert not steps
    assert again["weights"] != found["weights"]
    assert [row["alone"] for row in again["networks"]] == [row["alone"] for row in found["networks"]]
    key = "inherited"
    assert [row[key] for row in again["networks"]] != [row[key] for row in found["networks"]]


@pytest.mark.slow
def test_it_goes_on_in_parts_of_so_many_hours(
    tiny_run: RunFolder, monkeypatch: pytest.MonkeyPatch, steps: list[int]
) -> None:
    """By a clock that goes on by a minute with every step."""
    for module in (nas.search.diagnosis.run, nas.train.finetune):
        monkeypatch.setattr(module, "Deadline", partial(Deadline, clock=lambda: 60.0 * len(steps)))
    settings = replace(TINY, images=12, seeds=1, hours=3.5 / 60)
    parts = 0
    while True:
        try:
            found = diagnose_run(tiny_run, settings)
            break
        except Paused:
            parts += 1
            assert not tiny_run.diagnosis_file.exists()
    # Parts of four steps; a training has three. What was begun went on from its checkpoint.
    assert parts == 2
    assert steps == [0, 1, 2] * 4
    assert len(found["networks"]) == 4

    # What is known by a pause is told: one seed of all networks, while the second is on its way.
    with pytest.raises(Paused):
        diagnose_run(tiny_run, replace(settings, seeds=2))
    assert len(trained(tiny_run)) == 5
    partly = json.loads(tiny_run.diagnosis_file.read_text())
    assert (partly["seeds"], partly["planned"]["seeds"]) == (1, 2)
    assert partly["networks"] == found["networks"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: replace(s, networks=3), "`networks`: 3 are too few"),
        (lambda s: replace(s, seeds=0), "`seeds`: 0 is too few"),
        (lambda s: replace(s, images=0), "`images`: 0 is too few"),
        (lambda s: replace(s, bin_width=0.0), "`bin_width`: 0 leaves no network"),
        (lambda s: replace(s, hours=-1.0), "`hours`: -1 is no time"),
        (lambda s: replace(s, metric="nonsense"), "metric 'nonsense' is not known"),
        (lambda s: replace(s, predictor=Path("no.json")), r"no\.json: no latency predictor"),
        (lambda s: replace(s, allow_other_device=False), "Another CPU"),
        (lambda s: replace(s, heads=("crystal",)), "crystal"),
    ],
)
def test_a_users_mistake_is_named_before_anything_is_trained(
    tiny_run: RunFolder, change: Callable[[DiagnosisSettings], DiagnosisSettings], said: str, steps: list[int]
) -> None:
    with pytest.raises(UserError, match=said):
        diagnose_run(tiny_run, change(TINY))
    assert not steps
    assert not (tiny_run.diagnosis_folder / "plan.json").exists()


def test_a_run_without_a_supernet_is_told(tiny_run: RunFolder) -> None:
    tiny_run.weights_file.unlink()
    with pytest.raises(UserError, match="holds no trained supernet yet"):
        diagnose_run(tiny_run, TINY)


@pytest.mark.slow
def test_a_diagnosis_of_another_kind_is_not_mixed_with_this_one(
    tiny_run: RunFolder, steps: list[int], tmp_path: Path
) -> None:
    settings = replace(TINY, seeds=1)
    diagnose_run(tiny_run, settings)
    steps.clear()
    for change, said in (
        ({"images": 16}, r"of another kind: `images` \(8 there, 16 now\)"),
        ({"bins": 2}, r"`bins` \(1 there, 2 now\)"),
        ({"seed": 3}, r"`seed` \(0 there, 3 now\)"),
        ({"heads": ("simcc",)}, "`heads`"),
    ):
        with pytest.raises(UserError, match=said):
            diagnose_run(tiny_run, replace(settings, **change))
    changed = RunFolder.open(tiny_run.path, ["finetune.batch=2"])
    with pytest.raises(UserError, match=r"`batch` \(4 there, 2 now\)"):
        diagnose_run(changed, settings)

    # Another predictor has nothing to say of networks that were picked, and cannot add to them.
    other = tmp_path / "other.json"
    content = json.loads(tiny_run.predictor_file.read_text())
    other.write_text(json.dumps({**content, "p95_ratio": 2.0}))
    diagnose_run(tiny_run, replace(settings, predictor=other))
    with pytest.raises(UserError, match="not the predictor that the networks"):
        diagnose_run(tiny_run, replace(settings, predictor=other, networks=5))

    # Nor are networks of another space, or trained beside other images for the search.
    calibration = json.loads(tiny_run.calibration_file.read_text())
    calibration["samples"] = calibration["samples"][1:]
    tiny_run.calibration_file.write_text(json.dumps(calibration))
    with pytest.raises(UserError, match="names other images than"):
        diagnose_run(tiny_run, replace(settings, networks=5))
    plan = plan_of(tiny_run)
    plan["networks"][0]["arch"]["resolution"] = [64, 64]
    (tiny_run.diagnosis_folder / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(UserError, match="is not in the run's space 'tiny': resolution"):
        diagnose_run(tiny_run, settings)
    (tiny_run.diagnosis_folder / "plan.json").write_text("{}")
    with pytest.raises(UserError, match=r"plan\.json: not the plan of a diagnosis"):
        diagnose_run(tiny_run, settings)
    assert not steps


@pytest.mark.slow
def test_another_run_of_the_same_space_and_data_takes_over_what_was_trained_alone(
    tiny_run: RunFolder, steps: list[int], tmp_path: Path, make_config: Callable[..., Any]
) -> None:
    settings = replace(TINY, seeds=1)
    found = diagnose_run(tiny_run, settings)
    steps.clear()
    config = make_config(steps=99, sandwich={"random": 1})
    other = RunFolder.start(tmp_path / "other", config)
    shutil.copy(tiny_run.weights_file, other.weights_file)
    shutil.copytree(tiny_run.diagnosis_folder, other.diagnosis_folder)
    assert diagnose_run(other, settings) == found
    assert not steps


def test_the_command_says_what_it_found(tiny_run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    asked = "--networks 4 --seeds 1 --images 4 --bins 1 --bin-width 0.5 --metric PCK_torso@0.5"
    command = ["diagnose", str(tiny_run.path), *asked.split(), "--allow-other-device"]
    assert run_command(command) == 0
    printed = capsys.readouterr().out
    assert "4 networks of" in printed
    assert "ranked by" in printed
    assert str(tiny_run.diagnosis_file) in printed
    assert run_command([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["seeds"] == 1
    assert run_command([*command, "--bins", "2"]) == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("Error"))
    assert "--bins (1 there, 2 now)" in line


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on this system")
def test_kills_anywhere_change_nothing(tiny_run: RunFolder, tmp_path: Path) -> None:
    script = Path(__file__).with_name("killed_diagnosis.py")
    environment = os.environ | {"PYTHONPATH": str(Path(nas.__file__).parents[1])}

    def diagnose(run: Path, *die_at: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(script), str(run), *die_at],
            env=environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    straight = Path(shutil.copytree(tiny_run.path, tmp_path / "straight"))
    done = diagnose(straight)
    assert done.returncode == 0, done.stderr
    touches = int(done.stdout.split()[-1])
    rng = random.Random(0)
    killed = Path(shutil.copytree(tiny_run.path, tmp_path / "killed"))
    kills = 0
    for _ in range(12):
        done = diagnose(killed, str(rng.randint(1, touches // 3)))
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        kills += 1
    done = diagnose(killed)
    assert done.returncode == 0, done.stderr
    assert kills >= 3
    first, second = RunFolder(straight), RunFolder(killed)
    assert plan_of(first) == plan_of(second)
    assert trained(first) == trained(second)
    for name in trained(first):
        weights = [read_weights(run.diagnosis_folder / name)[1] for run in (first, second)]
        assert all(tensor.equal(weights[1][key]) for key, tensor in weights[0].items()), name
    found = [json.loads(run.diagnosis_file.read_text()) for run in (first, second)]
    assert found[0] == found[1]
