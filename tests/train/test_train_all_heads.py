"""Runs in which every body feeds all heads."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from ranks import assert_two_are_one_that_accumulates
from test_train_resume import Killed, before_step, die, same_run
from tiny_training import RecipeMaker

from nas.models import load_weights
from nas.runs import load_finetune_config, read_metrics
from nas.space import ArchManager
from nas.train import finetune_subnet, train_supernet

ALL = {"heads": "all", "pool": 60, "bins": 4}
ROLES = ("largest", "smallest", "random")


def test_every_step_trains_every_head(make_config: RecipeMaker, tmp_path: Path) -> None:
    run = train_supernet(make_config(sampling=ALL, log_every=1), tmp_path / "run")
    for line in read_metrics(run.metrics_file):
        assert {f"{head}/{role}" for head in ("heatmap", "simcc") for role in ROLES} <= line.keys()
        assert [name for name in line if name.startswith("gradient_norm/")] == ["gradient_norm/all"]
    arch = ArchManager(run.config().load_space()).largest(head="simcc")
    recipe = load_finetune_config(run.path, ["steps=2", "distillation=0.5"])
    assert load_weights(finetune_subnet(run.path, arch, recipe=recipe)).is_calibrated


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"accumulate": 2, "loss_weighting": "auto"}, marks=pytest.mark.slow),
        {"precision": "bf16-mixed", "sandwich": {"random": 1, "largest_first": 0.3, "smallest_every": 2}},
    ],
)
def test_killed_and_resumed_equals_undisturbed(
    make_config: RecipeMaker, tmp_path: Path, changes: dict[str, Any]
) -> None:
    config = make_config(sampling=ALL, **changes)
    straight = train_supernet(config, tmp_path / "straight")
    with before_step(8, die), pytest.raises(Killed):
        train_supernet(config, tmp_path / "killed")
    same_run(straight, train_supernet(config, tmp_path / "killed"))


@pytest.mark.slow
def test_two_processes_equal_one_that_accumulates(make_config: RecipeMaker, tmp_path: Path) -> None:
    config = make_config(precision="64-true", sampling=ALL)
    assert_two_are_one_that_accumulates(config, tmp_path)


def test_one_head_makes_no_difference(make_config: RecipeMaker, tmp_path: Path) -> None:
    """Of a space with one head, on one neck, all heads are that one."""
    space = make_config().load_space().narrow(heads=["simcc"])
    path = tmp_path / "space.yaml"
    path.write_text(yaml.safe_dump(space.spec.to_json()))
    one, every = (
        train_supernet(make_config(space=str(path), steps=3, sampling=sampling), tmp_path / name)
        for name, sampling in (("one", {**ALL, "heads": "one"}), ("all", ALL))
    )
    same_run(one, every)
