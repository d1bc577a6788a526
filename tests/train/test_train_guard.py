"""Losses that are not finite: skipped, then rolled back, then given up."""

import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from test_train_resume import before_step, press_ctrl_c, same_run
from tiny_training import RecipeMaker
from torch import Tensor

from nas.errors import UserError
from nas.models import load_weights, save_weights
from nas.runs import load_finetune_config, read_metrics
from nas.space import ArchManager
from nas.train import finetune_subnet, train_supernet
from nas.train.checkpoint import CheckpointStore
from nas.train.rules import Lesson, SandwichRule
from nas.train.update import Updater


class Breaking:
    """Makes the loss of some steps not finite, at most so many times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, steps: set[int], times: int) -> None:
        original = SandwichRule.__call__
        self.left = times

        def call(rule: SandwichRule, lesson: Lesson) -> dict[str, Tensor]:
            if lesson.plan.step in steps and self.left > 0:
                self.left -= 1
                lesson = replace(lesson, images=lesson.images * torch.nan)
            return original(rule, lesson)

        monkeypatch.setattr(SandwichRule, "__call__", call)


def test_a_bad_step_is_skipped_and_counted(
    make_config: RecipeMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    Breaking(monkeypatch, {2, 7}, times=2)
    with caplog.at_level(logging.WARNING):
        run = train_supernet(make_config(steps=20), tmp_path / "run")
    assert read_metrics(run.metrics_file)[-1]["skipped"] == 2
    assert "step 3 skipped" in caplog.text
    assert "2 of 20 steps were skipped" in caplog.text
    assert all(torch.isfinite(p).all() for p in load_weights(run.weights_file).parameters())


def test_several_in_a_row_roll_back_at_a_lower_rate(
    make_config: RecipeMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    Breaking(monkeypatch, {7, 8}, times=2)
    config = make_config(guard={"patience": 2, "rate": 0.5}, schedule={"warmup": 0, "flat": 1.0})
    with caplog.at_level(logging.WARNING):
        run = train_supernet(config, tmp_path / "run")
    lines = read_metrics(run.metrics_file)
    assert [line["step"] for line in lines] == [3, 6, 9, 12]
    assert [line["learning_rate"] for line in lines] == [1e-3, 1e-3, 5e-4, 5e-4]
    assert lines[-1]["skipped"] == 0, "the steps that were skipped were taken again"
    assert "back to step 6 at 0.5 of the learning rate" in caplog.text
    assert "0 of 12 steps were skipped" in caplog.text
    assert "1 roll-backs" in caplog.text


def test_a_run_that_cannot_be_saved_ends_in_an_error(
    make_config: RecipeMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Breaking(monkeypatch, set(range(4, 12)), times=10**6)
    config = make_config(guard={"patience": 2, "rollbacks": 2})
    for _ in range(2):  # the same command does not take it for finished
        with pytest.raises(
            UserError, match=r"training diverges: .*of the first \d+ steps of 12 were skipped"
        ):
            train_supernet(config, tmp_path / "run")
        assert not (tmp_path / "run" / "weights.safetensors").exists()


@pytest.mark.parametrize("steps", [3, 12])
def test_a_hopeless_rate_ends_in_an_error(make_config: RecipeMaker, tmp_path: Path, steps: int) -> None:
    config = make_config(steps=steps, optimizer={"lr": 1e30})
    for _ in range(2):
        with pytest.raises(UserError, match=rf"steps of {steps} were skipped.*lower optimizer\.lr") as caught:
            train_supernet(config, tmp_path / "run")
        skipped, taken = map(int, re.findall(r"(\d+) of the first (\d+) steps", str(caught.value))[0])
        assert 0 < skipped < taken <= steps
        assert not (tmp_path / "run" / "weights.safetensors").exists()
    kept = CheckpointStore(tmp_path / "run" / "checkpoints", keep=2).latest()
    assert kept is not None
    assert kept.state["counters"]["in_a_row"] == 0


def test_so_does_fine_tuning(make_config: RecipeMaker, tmp_path: Path) -> None:
    run = train_supernet(make_config(steps=1), tmp_path / "run")
    arch = ArchManager(run.config().load_space()).smallest(head="heatmap")
    recipe = load_finetune_config(run.path, ["optimizer.lr=1e30", "steps=6"])
    for _ in range(2):
        with pytest.raises(UserError, match=r"of the first \d+ steps of 6 were skipped"):
            finetune_subnet(run.path, arch, recipe=recipe, name="far")
    assert not list(run.subnets_folder.glob("*"))


def test_weights_whose_statistics_overflow_are_not_written(make_config: RecipeMaker, tmp_path: Path) -> None:
    run = train_supernet(make_config(steps=1), tmp_path / "run")
    arch = ArchManager(run.config().load_space()).smallest(head="heatmap")
    recipe = load_finetune_config(
        run.path, ["optimizer.lr=1e30", "steps=1", "schedule.warmup=0", "ema.decay=0"]
    )
    with pytest.raises(UserError, match="is not finite, and it is not written"):
        finetune_subnet(run.path, arch, recipe=recipe, name="far")
    assert not list(run.subnets_folder.glob("*"))


def test_skipping_more_than_a_tenth_is_diverging(
    make_config: RecipeMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Breaking(monkeypatch, {1, 4, 7, 10, 13}, times=10**6)
    config = make_config(steps=30, guard={"rollbacks": 1})
    with pytest.raises(UserError, match=r"more than 10% .* 4 of the first 11 steps of 30 were skipped"):
        train_supernet(config, tmp_path / "run")


def test_the_last_step_is_taken_again(
    make_config: RecipeMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    Breaking(monkeypatch, {11}, times=1)
    with caplog.at_level(logging.WARNING):
        run = train_supernet(make_config(), tmp_path / "run")
    assert "the last step was not finite: back to step 9" in caplog.text
    assert [line["step"] for line in read_metrics(run.metrics_file)] == [3, 6, 9, 12]
    assert read_metrics(run.metrics_file)[-1]["skipped"] == 0


def test_what_is_kept_is_never_of_a_stretch_that_is_skipped(
    make_config: RecipeMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps 6 and 7 are skipped; stopped then, the same command takes them again and ends as undisturbed."""
    straight = train_supernet(make_config(steps=20), tmp_path / "straight")
    with monkeypatch.context() as patch:
        Breaking(patch, {5, 6}, times=2)
        with before_step(6, press_ctrl_c), pytest.raises(KeyboardInterrupt):
            train_supernet(make_config(steps=20), tmp_path / "run")
    names = [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()]
    assert sorted(names) == ["step-00000000", "step-00000003"]
    same_run(straight, train_supernet(make_config(steps=20), tmp_path / "run"))


def break_weights_after(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Once, a weight is no number after so many steps, though loss and gradients are fine."""
    original = Updater.step
    left = [1]

    def stepping(self: Updater, plan: Any, parts: Any) -> dict[str, float]:
        values = original(self, plan, parts)
        if plan.step == step - 1 and left:
            left.pop()
            with torch.no_grad():
                next(self.state.net.parameters())[0, 0, 0, 0] = torch.nan
        return values

    monkeypatch.setattr(Updater, "step", stepping)


def test_broken_weights_are_rolled_back_and_never_saved(
    make_config: RecipeMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    break_weights_after(monkeypatch, 6)
    with caplog.at_level(logging.WARNING):
        run = train_supernet(make_config(), tmp_path / "run")
    assert "is not finite after step 6: back to step 3 at 0.5 of the learning rate" in caplog.text
    assert [line["step"] for line in read_metrics(run.metrics_file)] == [3, 6, 9, 12]
    assert all(torch.isfinite(p).all() for p in load_weights(run.weights_file).parameters())


def test_broken_weights_are_not_saved_on_the_way_out(
    make_config: RecipeMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = train_supernet(make_config(), tmp_path / "straight")
    with monkeypatch.context() as patch:
        break_weights_after(patch, 5)
        with before_step(4, press_ctrl_c), pytest.raises(KeyboardInterrupt):
            train_supernet(make_config(), tmp_path / "run")
    names = [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()]
    assert sorted(names) == ["step-00000000", "step-00000003"]
    same_run(straight, train_supernet(make_config(), tmp_path / "run"))


def test_broken_initial_weights_are_refused(make_config: RecipeMaker, tmp_path: Path) -> None:
    run = train_supernet(make_config(steps=1), tmp_path / "first")
    net = load_weights(run.weights_file)
    with torch.no_grad():
        next(net.parameters()).fill_(torch.inf)
    save_weights(tmp_path / "broken.safetensors", net)
    config = make_config(init={"weights": str(tmp_path / "broken.safetensors")})
    with pytest.raises(
        UserError, match=r"broken\.safetensors: weights .* hold 864 numbers that are not finite"
    ):
        train_supernet(config, tmp_path / "second")
