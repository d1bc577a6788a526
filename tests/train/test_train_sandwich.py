"""Which networks a run trains when."""

from pathlib import Path
from typing import Any

import pytest
from ranks import assert_two_are_one_that_accumulates
from test_train_resume import Killed, before_step, die, same_run
from tiny_training import RecipeMaker

from nas.runs import load_finetune_config, read_metrics
from nas.space import ArchManager
from nas.train import finetune_subnet, train_supernet

WARMED = {"random": 1, "largest_first": 0.5, "smallest_every": 2}
"""Of 12 steps six train the largest alone, and of the others three the smallest."""


def roles(line: dict[str, Any]) -> set[str]:
    return {name.split("/")[1] for name in line if name.startswith(("heatmap/", "simcc/"))}


def test_the_largest_alone_then_all(make_config: RecipeMaker, tmp_path: Path) -> None:
    run = train_supernet(make_config(sandwich=WARMED, log_every=1), tmp_path / "run")
    trained = [roles(line) for line in read_metrics(run.metrics_file)]
    assert trained[:6] == [{"largest"}] * 6
    # A random network that is one of the ends is trained once, as that.
    assert [found - {"random"} for found in trained[6::2]] == [{"largest", "smallest", "teacher"}] * 3
    assert [found - {"random", "teacher"} for found in trained[7::2]] == [{"largest"}] * 3
    assert any("random" in found for found in trained)


@pytest.mark.parametrize("step", [4, 8])
def test_killed_and_resumed_equals_undisturbed(make_config: RecipeMaker, tmp_path: Path, step: int) -> None:
    config = make_config(sandwich=WARMED, accumulate=2)
    straight = train_supernet(config, tmp_path / "straight")
    with before_step(step, die), pytest.raises(Killed):
        train_supernet(config, tmp_path / "killed")
    same_run(straight, train_supernet(config, tmp_path / "killed"))


def test_by_default_the_smallest_comes_every_step_and_nothing_is_warmed_up(
    make_config: RecipeMaker, tmp_path: Path
) -> None:
    plain = train_supernet(make_config(steps=4), tmp_path / "plain")
    stated = {"random": 2, "largest_first": 0.0, "smallest_every": 1}
    same_run(plain, train_supernet(make_config(steps=4, sandwich=stated), tmp_path / "stated"))


@pytest.mark.slow
def test_two_processes_equal_one_that_accumulates(make_config: RecipeMaker, tmp_path: Path) -> None:
    config = make_config(precision="64-true", sandwich=WARMED)
    assert_two_are_one_that_accumulates(config, tmp_path)


def test_fine_tuning_goes_on_from_it(make_config: RecipeMaker, tmp_path: Path) -> None:
    run = train_supernet(make_config(steps=2, sandwich=WARMED), tmp_path / "run")
    arch = ArchManager(run.config().load_space()).smallest(head="heatmap")
    recipe = load_finetune_config(run.path, ["steps=1"])
    assert finetune_subnet(run.path, arch, recipe=recipe).is_file()
