"""A run that was killed ends where one that was not ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import TIMINGS, RecipeMaker

import nas.train
from nas.errors import UserError
from nas.interrupt import Interruption
from nas.models import read_weights
from nas.runs import read_metrics
from nas.runs.folder import RunFolder
from nas.train import train_supernet
from nas.train.update import Updater


class Killed(BaseException):
    pass


@contextmanager
def before_step(step: int, action: Callable[[], None]) -> Iterator[None]:
    """Within, do something before the step with that number."""
    original = Updater.step

    def stepping(self: Updater, plan: Any, parts: Any) -> dict[str, float]:
        if plan.step == step:
            action()
        return original(self, plan, parts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Updater, "step", stepping)
        yield


def die() -> None:
    raise Killed


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def same_run(first: RunFolder, second: RunFolder) -> None:
    weights = [read_weights(run.weights_file)[1] for run in (first, second)]
    assert weights[0].keys() == weights[1].keys()
    for name, tensor in weights[0].items():
        assert torch.equal(tensor, weights[1][name]), name
    lines = [
        [{k: v for k, v in line.items() if k not in TIMINGS} for line in read_metrics(run.metrics_file)]
        for run in (first, second)
    ]
    assert lines[0] == lines[1]


@pytest.mark.parametrize("workers", [0, 1])
def test_killed_and_resumed_equals_undisturbed(
    make_config: RecipeMaker, tmp_path: Path, workers: int
) -> None:
    config = make_config(validation={"every": 6, "images": 4})
    config = config.model_copy(update={"data": config.data.model_copy(update={"workers": workers})})
    straight = train_supernet(config, tmp_path / "straight")
    with before_step(8, die), pytest.raises(Killed):
        train_supernet(config, tmp_path / "killed")
    assert not RunFolder(tmp_path / "killed").weights_file.exists()
    same_run(straight, train_supernet(config, tmp_path / "killed"))
    assert [line["step"] for line in read_metrics(straight.metrics_file)] == [3, 6, 9, 12]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_and_the_same_call_goes_on(
    make_config: RecipeMaker, tmp_path: Path, number: int
) -> None:
    config = make_config(checkpoint={"every": 1000, "keep": 2})
    straight = train_supernet(config, tmp_path / "straight")
    # Whoever starts the tests in the background may have the signal ignored.
    former = signal.signal(number, signal.default_int_handler)
    try:
        with before_step(4, lambda: os.kill(os.getpid(), number)), pytest.raises(Interruption) as caught:
            train_supernet(config, tmp_path / "stopped")
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, former)
    assert caught.value.number == number
    assert (tmp_path / "stopped" / "checkpoints" / "step-00000005").is_dir()
    same_run(straight, train_supernet(config, tmp_path / "stopped"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_to_the_command_and_its_workers(
    make_config: RecipeMaker, tmp_path: Path, number: int, code: int
) -> None:
    """As schedulers end jobs and terminals end what runs in them."""
    data = make_config().data.model_dump(mode="json") | {"workers": 2}
    config = make_config(data=data, checkpoint={"every": 1000, "keep": 2})
    straight = train_supernet(config, tmp_path / "straight")
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps(config.model_dump(mode="json")))
    command = ["train", str(recipe), "--runs", str(tmp_path), "--name", "stopped"]
    script = Path(__file__).with_name("signalled.py")
    done = subprocess.run(
        [sys.executable, str(script), str(int(number)), "4", *command],
        env=os.environ | {"PYTHONPATH": str(Path(nas.train.__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=120,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "stopped after step 5 of 12; the same command goes on from there" in done.stderr
    assert "Traceback" not in done.stderr
    same_run(straight, train_supernet(config, tmp_path / "stopped"))


def test_a_finished_run_is_left_alone(make_config: RecipeMaker, tmp_path: Path) -> None:
    run = train_supernet(make_config(steps=2), tmp_path / "run")
    written = run.weights_file.stat().st_mtime_ns
    assert train_supernet(make_config(steps=2), tmp_path / "run").weights_file.stat().st_mtime_ns == written


def test_another_recipe_in_the_same_folder_is_refused(make_config: RecipeMaker, tmp_path: Path) -> None:
    train_supernet(make_config(steps=1), tmp_path / "run")
    with pytest.raises(UserError, match=r"optimizer\.lr \(0\.001 there, 0\.5 now\).*`name`"):
        train_supernet(make_config(steps=1, optimizer={"lr": 0.5}), tmp_path / "run")
    train_supernet(make_config(steps=1, log_every=7), tmp_path / "run")


def test_other_training_images_are_refused(make_config: RecipeMaker, tmp_path: Path) -> None:
    with before_step(5, die), pytest.raises(Killed):
        train_supernet(make_config(), tmp_path / "run")
    split = json.loads((tmp_path / "run" / "search_split.json").read_text())
    split["sources"][0]["image_ids"] = [1, 2, 3]
    (tmp_path / "run" / "search_split.json").write_text(json.dumps(split))
    with pytest.raises(UserError, match="other training images"):
        train_supernet(make_config(), tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("step", [2, 7])
def test_kill_9_and_resume(make_config: RecipeMaker, tmp_path: Path, step: int) -> None:
    config = make_config()
    straight = train_supernet(config, tmp_path / "straight")
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps(config.model_dump(mode="json")))
    script = Path(__file__).with_name("killed_training.py")
    command = [sys.executable, str(script), str(recipe), str(tmp_path / "killed"), str(step)]
    environment = os.environ | {"PYTHONPATH": str(Path(nas.train.__file__).parents[2])}
    died = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert died.returncode == -signal.SIGKILL, died.stderr
    same_run(straight, train_supernet(config, tmp_path / "killed"))


def test_bf16_trains_and_resumes(make_config: RecipeMaker, tmp_path: Path) -> None:
    config = make_config(precision="bf16-mixed", steps=6)
    straight = train_supernet(config, tmp_path / "straight")
    with before_step(4, die), pytest.raises(Killed):
        train_supernet(config, tmp_path / "killed")
    same_run(straight, train_supernet(config, tmp_path / "killed"))
    assert {tensor.dtype for tensor in read_weights(straight.weights_file)[1].values()} == {torch.float32}
