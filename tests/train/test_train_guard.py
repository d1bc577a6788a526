"""Losses that are not finite: skipped, then rolled back, then given up."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from test_train_resume import before_step, press_ctrl_c, same_run
from tiny_training import RecipeMaker
from torch import Tensor

from nas.errors import UserError
from nas.models import load_weights, save_weights
from nas.train import read_metrics, train_supernet
from nas.train.rules import SandwichRule
from nas.train.update import Updater


class Breaking:
    """Makes the loss of some steps not finite, at most so many times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, steps: set[int], times: int) -> None:
        original = SandwichRule.__call__
        self.left = times

        def call(rule: Any, net: Any, plan: Any, images: Tensor, targets: Any, **kwargs: Any) -> Any:
            if plan.step in steps and self.left > 0:
                self.left -= 1
                images = images * torch.nan
            return original(rule, net, plan, images, targets, **kwargs)

        monkeypatch.setattr(SandwichRule, "__call__", call)


def test_a_bad_step_is_skipped_and_counted(
    make_config: RecipeMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    Breaking(monkeypatch, {2, 7}, times=2)
    with caplog.at_level(logging.WARNING):
        run = train_supernet(make_config(), tmp_path / "run")
    assert read_metrics(run.metrics_file)[-1]["skipped"] == 2
    assert "step 3 skipped" in caplog.text
    assert "2 of 12 steps were skipped" in caplog.text
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
    assert lines[-1]["skipped"] == 2
    assert "back to step 6 at 0.5 of the learning rate" in caplog.text


def test_a_run_that_cannot_be_saved_ends_in_an_error(
    make_config: RecipeMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Breaking(monkeypatch, set(range(4, 12)), times=10**6)
    config = make_config(guard={"patience": 2, "rollbacks": 2})
    with pytest.raises(UserError, match="training diverges"):
        train_supernet(config, tmp_path / "run")
    assert not (tmp_path / "run" / "weights.safetensors").exists()


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
    with pytest.raises(UserError, match="starts from weights that are not finite"):
        train_supernet(config, tmp_path / "second")
