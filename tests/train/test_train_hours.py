"""Training in parts of so many hours: it ends where one that is never paused ends. Clocks are made up."""

import logging
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from ranks import last_weights, rank_weights, train_on_ranks
from test_train_resume import before_step, press_ctrl_c, same_run
from tiny_training import RecipeMaker

import nas.train.finetune
import nas.train.loop
import nas.train.supernet
from nas.cli.main import run as run_command
from nas.errors import UserError
from nas.interrupt import Interruption, Paused
from nas.models import read_weights
from nas.runs import RunFolder, read_metrics
from nas.space import ArchManager
from nas.train import finetune_subnet, train_supernet
from nas.train.checkpoint import CheckpointStore
from nas.train.clock import Deadline, Laps, Spent
from nas.train.rate import Rate
from nas.train.scoring import Scorer
from nas.train.update import Updater

VALIDATED = {"annotations": "people.json", "images": "images"}


class Clock:
    """Goes on by a minute with every step, and by `validation` seconds with every validation."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, validation: float = 0.0) -> None:
        self.now = 5000.0
        self.steps = 0
        for module in (nas.train.supernet, nas.train.finetune):
            monkeypatch.setattr(module, "Deadline", partial(Deadline, clock=self))
        monkeypatch.setattr(nas.train.loop, "Laps", partial(Laps, clock=self))
        self._lengthen(monkeypatch, Updater, "step", 60.0)
        self._lengthen(monkeypatch, Scorer, "__call__", validation)

    def __call__(self) -> float:
        return self.now

    def _lengthen(self, monkeypatch: pytest.MonkeyPatch, kind: type, name: str, seconds: float) -> None:
        original: Callable[..., Any] = getattr(kind, name)

        def lengthened(*arguments: Any, **options: Any) -> Any:
            self.now += seconds
            self.steps += kind is Updater
            return original(*arguments, **options)

        monkeypatch.setattr(kind, name, lengthened)


def validated(make_config: RecipeMaker, *, every: int, share: float | None, **changes: Any) -> Any:
    """A recipe that validates on some of its own images."""
    data = {**make_config().data.model_dump(mode="json"), "val": [VALIDATED]}
    validation = {"every": every, "images": 4, "share": share}
    return make_config(data=data, validation=validation, log_every=1, **changes)


def in_parts(train: Callable[[], Any], *, most: int = 20) -> tuple[int, Any]:
    """Call until it comes to its end; how often it was paused before, and what it gave."""
    for pauses in range(most):
        try:
            return pauses, train()
        except Paused:
            continue
    raise AssertionError(f"not at its end after {most} parts")


def test_a_part_ends_after_its_hours_and_the_same_call_goes_on_to_the_same_weights(
    make_config: RecipeMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = make_config(checkpoint={"every": 1000, "keep": 2})
    straight = train_supernet(config, tmp_path / "straight")
    clock = Clock(monkeypatch)
    with caplog.at_level(logging.INFO), pytest.raises(Paused, match="tiny: after step 5 of 12"):
        train_supernet(config, tmp_path / "paused", hours=4.5 / 60)
    assert clock.steps == 5
    (line,) = [record.message for record in caplog.records if "stopped" in record.message]
    assert line == "time is up: stopped after step 5 of 12; the same command goes on from there"
    assert (tmp_path / "paused" / "checkpoints" / "step-00000005").is_dir()
    assert not RunFolder(tmp_path / "paused").weights_file.exists()

    train = partial(train_supernet, config, tmp_path / "paused", hours=4.5 / 60)
    pauses, run = in_parts(train)
    assert pauses == 1
    assert clock.steps == 12
    same_run(straight, run)
    rates = [line["learning_rate"] for line in read_metrics(run.metrics_file)]
    assert rates == [line["learning_rate"] for line in read_metrics(straight.metrics_file)]


def test_a_part_of_no_length_takes_a_step(
    make_config: RecipeMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    config = make_config(steps=4)
    pauses, _ = in_parts(partial(train_supernet, config, tmp_path / "run", hours=1e-6))
    assert pauses == 3
    assert clock.steps == 4


def test_hours_that_suffice_change_nothing(
    make_config: RecipeMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch)
    run = train_supernet(make_config(), tmp_path / "run", hours=12 / 60)
    assert run.weights_file.is_file()


def test_fine_tuning_in_parts(
    make_config: RecipeMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train_supernet(make_config(steps=1), tmp_path / "run")
    arch = ArchManager(run.config().load_space()).smallest(head="heatmap")
    straight = read_weights(finetune_subnet(run.path, arch, name="straight"))[1]
    clock = Clock(monkeypatch)
    pauses, path = in_parts(partial(finetune_subnet, run.path, arch, name="paused", hours=2.5 / 60))
    assert pauses == 1
    assert clock.steps == 4
    found = read_weights(path)[1]
    assert found.keys() == straight.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in straight.items())


def test_ctrl_c_is_no_pause(
    make_config: RecipeMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch)
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with before_step(2, press_ctrl_c), pytest.raises(Interruption):
            train_supernet(make_config(), tmp_path / "run", hours=2.5 / 60)
    finally:
        signal.signal(signal.SIGINT, former)


def test_steps_that_are_being_skipped_are_waited_for(
    make_config: RecipeMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is stopped among them could not be kept."""
    clock = Clock(monkeypatch)
    lengthened = Updater.step

    def breaking(self: Updater, plan: Any, parts: Any) -> dict[str, float]:
        values = lengthened(self, plan, parts)
        return values | {"broken": float("nan")} if plan.step in (2, 3) else values

    monkeypatch.setattr(Updater, "step", breaking)
    with pytest.raises(Paused):
        train_supernet(make_config(steps=30), tmp_path / "run", hours=2.5 / 60)
    assert clock.steps == 5
    kept = CheckpointStore(tmp_path / "run" / "checkpoints", keep=2).latest()
    assert kept is not None
    assert kept.step == 5


@pytest.mark.parametrize("hours", [0.0, -1.0, float("nan"), float("inf")])
def test_hours_that_are_none_are_refused_before_anything_is_written(
    make_config: RecipeMaker, tmp_path: Path, hours: float
) -> None:
    with pytest.raises(UserError, match=r"`hours`: .* give more than 0"):
        train_supernet(make_config(), tmp_path / "run", hours=hours)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_all_processes_stop_at_the_step_that_the_first_one_says(
    make_config: RecipeMaker, tmp_path: Path
) -> None:
    """The second one's clock runs ahead by far, and is not asked."""
    config = make_config()
    train_on_ranks(config, tmp_path / "straight")
    train_on_ranks(config, tmp_path / "paused", HOURS="4.5", AHEAD="1")
    weights = [rank_weights(tmp_path / "paused", rank) for rank in (0, 1)]
    assert all(torch.equal(weights[0][name], tensor) for name, tensor in weights[1].items())
    kept = CheckpointStore(tmp_path / "paused" / "checkpoints", keep=2).latest()
    assert kept is not None
    assert kept.step == 5
    train_on_ranks(config, tmp_path / "paused")
    expected, found = last_weights(tmp_path / "straight"), last_weights(tmp_path / "paused")
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize(
    ("seconds", "taken"),
    [
        # 12 steps of a minute: what takes nothing comes as often as it is asked for.
        (0.0, [2, 4, 6, 8, 10, 12]),
        # The first tells what one takes. The next waits until it and one at the end are a tenth of all.
        (30.0, [2, 12]),
        (15.0, [2, 8, 10, 12]),
    ],
)
def test_validation_keeps_to_its_share_of_the_time(
    make_config: RecipeMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    seconds: float,
    taken: list[int],
) -> None:
    Clock(monkeypatch, validation=seconds)
    with caplog.at_level(logging.INFO):
        run = train_supernet(validated(make_config, every=2, share=0.1), tmp_path / "run")
    lines = read_metrics(run.metrics_file)
    assert [line["step"] for line in lines if "val/largest/AP" in line] == taken
    total = 12 * 60 + len(taken) * seconds
    share = len(taken) * seconds / total
    assert share <= 0.1
    assert lines[-1]["validation_share"] == pytest.approx(share, abs=1e-4)
    assert lines[-1]["hours"] == pytest.approx(total / 3600, abs=1e-4)
    assert f"validation and calibration took {share:.1%}" in caplog.text
    assert ("comes less often" in caplog.text) == (len(taken) < 6)


def test_without_a_share_validation_comes_as_said(
    make_config: RecipeMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch, validation=1000.0)
    run = train_supernet(validated(make_config, every=4, share=None), tmp_path / "run")
    lines = read_metrics(run.metrics_file)
    assert [line["step"] for line in lines if "val/largest/AP" in line] == [4, 8, 12]


@pytest.mark.slow
def test_what_is_validated_and_when_changes_no_weight(
    make_config: RecipeMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = train_supernet(make_config(log_every=1), tmp_path / "never")
    always = train_supernet(validated(make_config, every=1, share=None), tmp_path / "always")
    with monkeypatch.context() as patch:
        Clock(patch, validation=15.0)
        config = validated(make_config, every=2, share=0.1)
        _, seldom = in_parts(partial(train_supernet, config, tmp_path / "seldom", hours=4.5 / 60))
    expected = read_weights(never.weights_file)[1]
    for run in (always, seldom):
        found = read_weights(run.weights_file)[1]
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    losses = [
        [
            {name: value for name, value in line.items() if name.startswith(("simcc/", "heatmap/"))}
            for line in lines
        ]
        for lines in (read_metrics(run.metrics_file) for run in (never, always, seldom))
    ]
    assert losses[0] == losses[1] == losses[2]


def test_time_is_counted_over_all_parts(
    make_config: RecipeMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one validation takes is known after a pause, and so is what was spent before."""
    clock = Clock(monkeypatch, validation=15.0)
    config = validated(make_config, every=2, share=0.1)

    def part() -> RunFolder:
        clock.now += 10**6  # a pause, which counts for nothing
        return train_supernet(config, tmp_path / "run", hours=2.5 / 60)

    pauses, run = in_parts(part)
    assert pauses == 3
    lines = read_metrics(run.metrics_file)
    assert [line["step"] for line in lines if "val/largest/AP" in line] == [2, 8, 10, 12]
    assert lines[-1]["hours"] == pytest.approx((12 * 60 + 4 * 15) / 3600, abs=1e-4)


def test_a_roll_back_gives_no_time_back(
    make_config: RecipeMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch)
    lengthened, left = Updater.step, [2]

    def breaking(self: Updater, plan: Any, parts: Any) -> dict[str, float]:
        values = lengthened(self, plan, parts)
        if plan.step in (7, 8) and left[0]:
            left[0] -= 1
            return values | {"broken": float("nan")}
        return values

    monkeypatch.setattr(Updater, "step", breaking)
    run = train_supernet(make_config(guard={"patience": 2}), tmp_path / "run")
    # Back from step 9 to step 6: steps 7 and 8 were taken twice; the one that broke it off is not counted.
    assert read_metrics(run.metrics_file)[-1]["hours"] == pytest.approx(14 / 60, abs=1e-4)


def test_a_checkpoint_of_before_kept_no_time(
    make_config: RecipeMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config()
    straight = train_supernet(config, tmp_path / "straight")
    Clock(monkeypatch)
    with pytest.raises(Paused):
        train_supernet(config, tmp_path / "run", hours=3.5 / 60)
    store = CheckpointStore(tmp_path / "run" / "checkpoints", keep=1)
    kept = store.latest()
    assert kept is not None
    store.save(type(kept)(kept.step, kept.weights, {k: v for k, v in kept.state.items() if k != "spent"}))
    same_run(straight, train_supernet(config, tmp_path / "run"))


def test_the_pause_stands_in_the_line_where_it_comes_before_the_end() -> None:
    deadline = Deadline(2, clock=lambda: 0.0)
    assert deadline.told(3600) == ""
    assert deadline.told(10_000) == ", pause in 2 h 00 min"
    assert Deadline(None).told(1e12) == ""


def test_the_time_left_holds_validation() -> None:
    spent = Spent(steps=90, checkpoints=1)
    spent.add_validation(9)
    assert spent.overhead == pytest.approx(100 / 90)
    assert spent.told() == "2 min in all; validation and calibration took 9.0%, checkpoints 1.0%"
    assert Spent().overhead == 1.0
    assert Rate().told(batch=4, left=100.0) == ""


def test_laps_are_counted_once() -> None:
    clock = iter([10.0, 12.0, 15.5])
    laps = Laps(clock=lambda: next(clock))
    assert [laps(), laps()] == [2.0, 3.5]


def test_the_command_pauses_with_code_0_and_one_line(
    make_config: RecipeMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    Clock(monkeypatch)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(make_config(steps=4).model_dump(mode="json")))
    command = ["train", str(recipe), "--runs", str(tmp_path), "--name", "run", "--hours", "0.04"]
    with caplog.at_level(logging.INFO):
        assert run_command(command) == 0
    assert caplog.text.count("time is up: stopped after step 3 of 4; the same command goes on") == 1
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "Interrupted" not in printed.err
    assert run_command(command) == 0
    assert "Supernet:" in capfd.readouterr().out

    arch = tmp_path / "arch.json"
    ArchManager(make_config().load_space()).smallest(head="heatmap").save(arch)
    command = ["finetune", str(tmp_path / "run"), str(arch), "--name", "a", "--hours", "0.04"]
    assert run_command(command) == 0
    assert capfd.readouterr().out == ""
    assert run_command(command) == 0
    assert capfd.readouterr().out.split() == [str(tmp_path / "run" / "subnets" / "a.safetensors")]


def test_hours_that_are_none_are_told_by_the_flag(
    make_config: RecipeMaker, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(make_config().model_dump(mode="json")))
    assert run_command(["train", str(recipe), "--runs", str(tmp_path), "--hours", "0"]) == 2
    assert "Error: --hours: 0 is no time to train; give more than 0" in capfd.readouterr().err
