"""Several processes learn what one learns, stay equal to each other, and survive the loss of one."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from ranks import SCRIPT, assert_bit_equal, last_weights, torchrun, train_on_ranks, write_recipe
from tiny_training import TIMINGS, RecipeMaker

from nas.models import read_weights
from nas.runs import read_metrics
from nas.space import ArchManager
from nas.train import train_supernet

# Starting processes by torchrun takes half a minute. What they do is what the helpers of a training do, which
# are tried each time, in test_train_helpers.
pytestmark = pytest.mark.slow

VALIDATED = {"annotations": "people.json", "images": "images"}


def with_validation(make_config: RecipeMaker, **changes: Any) -> Any:
    """A recipe that validates on its own images: an odd number of them, in 3 batches of calibration."""
    config = make_config(**changes)
    data = {**config.data.model_dump(mode="json"), "val": [VALIDATED]}
    settings = {"validation": {"every": 4, "images": 7}, "calibration": {"images": 10, "batch": 4}}
    return make_config(**changes, data=data, **settings)


# Both trainings normalise each part of a step's batch by its own statistics: a process's batch there, an
# accumulated batch here. That, with labels weighted within each part, makes their gradients equal.
@pytest.mark.parametrize(
    ("precision", "tolerance", "weighting"),
    [
        ("64-true", 1e-10, "fixed"),
        ("64-true", 1e-10, "auto"),
        ("32-true", 1e-6, "fixed"),
    ],
)
def test_two_processes_equal_one_that_accumulates(
    make_config: RecipeMaker, tmp_path: Path, precision: str, tolerance: float, weighting: str
) -> None:
    changes = {"precision": precision, "steps": 10, "optimizer": {"lr": 1e-3, "weight_decay": 0.01}}
    changes["loss_weighting"] = weighting
    train_supernet(with_validation(make_config, **changes, accumulate=2), tmp_path / "one")
    train_on_ranks(with_validation(make_config, **changes), tmp_path / "two")

    assert_bit_equal(tmp_path / "two")
    expected, found = last_weights(tmp_path / "one"), last_weights(tmp_path / "two")
    assert expected.keys() == found.keys()
    worst = max(
        float((tensor.double() - found[name].double()).abs().max()) for name, tensor in expected.items()
    )
    assert worst <= tolerance
    lines = [read_metrics(tmp_path / name / "metrics.jsonl") for name in ("one", "two")]
    assert any("val/largest/AP" in line for line in lines[0])
    for left, right in zip(*lines, strict=True):
        assert left.keys() == right.keys()
        for key in left.keys() - TIMINGS:
            assert left[key] == pytest.approx(right[key], rel=1e-4, abs=1e-6), key


def test_processes_stay_bit_equal(make_config: RecipeMaker, tmp_path: Path) -> None:
    train_on_ranks(make_config(steps=200, checkpoint={"every": 50, "keep": 1}), tmp_path / "run")
    assert_bit_equal(tmp_path / "run")


def test_a_process_that_is_late_finds_what_the_first_found(make_config: RecipeMaker, tmp_path: Path) -> None:
    """Were the first one's first checkpoint one to resume from, they would wait for each other for ever."""
    train_on_ranks(make_config(steps=2), tmp_path / "run", LATE="1")


def test_a_lost_worker_is_replaced_and_training_goes_on(make_config: RecipeMaker, tmp_path: Path) -> None:
    config = with_validation(make_config)
    train_on_ranks(config, tmp_path / "straight")
    recipe = write_recipe(config, tmp_path / "recipe.json")
    death = {"DIE_AT": "8", "DIE_RANK": "1", "DIE_ONCE": str(tmp_path / "died")}
    folder = tmp_path / "killed"
    done = torchrun(str(SCRIPT), str(recipe), str(folder), ranks=2, restarts=1, **death)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "died").exists()
    expected = read_weights(tmp_path / "straight" / "weights.safetensors")[1]
    found = read_weights(folder / "weights.safetensors")[1]
    for name, tensor in expected.items():
        assert torch.equal(tensor, found[name]), name
    steps = [
        [line["step"] for line in read_metrics(tmp_path / run / "metrics.jsonl")]
        for run in ("straight", "killed")
    ]
    assert steps[0] == steps[1]


def test_the_command_on_two_processes(make_config: RecipeMaker, tmp_path: Path) -> None:
    config = with_validation(make_config, steps=2)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    runs = ["--runs", str(tmp_path / "runs"), "--name", "a"]
    done = torchrun("-m", "nas", "train", str(recipe), *runs, ranks=2)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("Supernet:") == 1
    arch = tmp_path / "arch.json"
    ArchManager(config.load_space()).smallest(head="heatmap").save(arch)
    folder = tmp_path / "runs" / "a"
    done = torchrun("-m", "nas", "finetune", str(folder), str(arch), "--name", "s", ranks=2)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (folder / "subnets" / "s.safetensors").is_file()
    refused = torchrun("-m", "nas", "train", str(recipe), *runs, "--set", "seed=9", ranks=2)
    assert refused.returncode != 0
    assert refused.stderr.count("holds a run of another configuration") == 1


@pytest.mark.parametrize("head", ["simcc", "heatmap"])
def test_bf16_trains_on_the_cpu(make_config: RecipeMaker, tmp_path: Path, head: str) -> None:
    space = json.loads(json.dumps(yaml.safe_load(Path(make_config().space).read_text())))
    neck = {"simcc": "none", "heatmap": "fusion_deconv"}[head]
    space |= {"heads": {head: space["heads"][head]}, "necks": {neck: space["necks"][neck]}}
    path = tmp_path / "space.yaml"
    path.write_text(yaml.safe_dump(space))
    changes = {"space": str(path), "precision": "bf16-mixed", "steps": 60, "log_every": 10}
    run = train_supernet(make_config(**changes, optimizer={"lr": 5e-3}), tmp_path / "run")
    lines = read_metrics(run.metrics_file)
    assert all(line["skipped"] == 0 for line in lines)
    losses = [line[f"{head}/largest"] for line in lines]
    assert None not in losses
    assert losses[-1] < 0.95 * losses[0], losses
