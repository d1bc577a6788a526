"""Processes that a training starts by itself: they learn what one learns in parts, and end with the first."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from ranks import last_weights
from tiny_training import RecipeMaker

from nas.errors import UserError
from nas.interrupt import Paused
from nas.models import PoseNet, read_weights, save_weights
from nas.runs.config import SupernetConfig
from nas.runs.folder import RunFolder
from nas.space import Arch, ArchManager
from nas.train import finetune_subnet, finetune_subnets, helpers, train_supernet
from nas.train.checkpoint import CheckpointStore
from nas.train.update import Updater

PRECISE = {"precision": "64-true", "steps": 6}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """All helpers, as they are started."""
    found: list[subprocess.Popen[bytes]] = []
    original = subprocess.Popen

    def start(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        process = original(command, **options)
        if "nas.train.helpers" in str(command):
            found.append(process)
        return process

    monkeypatch.setattr(helpers.subprocess, "Popen", start)
    return found


def test_two_processes_learn_what_one_learns_in_two_parts(
    make_config: RecipeMaker, tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    before = dict(os.environ)
    train_supernet(make_config(**PRECISE, accumulate=2), tmp_path / "one")
    assert not started
    train_supernet(make_config(**PRECISE, processes=2), tmp_path / "two")
    assert [helper.returncode for helper in started] == [0]
    assert dict(os.environ) == before
    assert not torch.distributed.is_initialized()
    expected, found = (last_weights(tmp_path / name) for name in ("one", "two"))
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-10)


@pytest.mark.slow
def test_a_run_fine_tunes_by_as_many(
    make_config: RecipeMaker, tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    config = make_config(processes=2)
    run = untrained(config, tmp_path / "run")
    arch = ArchManager(config.load_space()).smallest(head="heatmap")
    assert finetune_subnet(run, arch, scratch=True, seed=3).name == f"{arch.id}-scratch.safetensors"
    assert [helper.returncode for helper in started] == [0]


@pytest.mark.slow
def test_a_helper_that_is_lost_costs_nothing_but_time(
    make_config: RecipeMaker,
    tmp_path: Path,
    started: list[subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = make_config(processes=2)
    train_supernet(config, tmp_path / "straight")
    original = Updater.step

    def step(self: Updater, plan: Any, parts: Any) -> dict[str, float]:
        if plan.step == 7:
            started[-1].kill()
        return original(self, plan, parts)

    with monkeypatch.context() as patch:
        patch.setattr(Updater, "step", step)
        with pytest.raises(UserError, match="gone or stuck"):
            train_supernet(config, tmp_path / "lost")
    train_supernet(config, tmp_path / "lost")
    straight, lost = (
        read_weights(tmp_path / name / "weights.safetensors")[1] for name in ("straight", "lost")
    )
    for name, tensor in straight.items():
        assert torch.equal(tensor, lost[name]), name
    assert all(helper.returncode is not None for helper in started)


def untrained(config: SupernetConfig, folder: Path) -> RunFolder:
    """A run whose supernet has random weights."""
    run = RunFolder.start(folder, config)
    run.record(config)
    torch.manual_seed(0)
    save_weights(run.weights_file, PoseNet(config.load_space(), config.skeleton))
    return run


def subnets_of(config: SupernetConfig, count: int) -> dict[str, Arch]:
    manager, rng = ArchManager(config.load_space()), np.random.default_rng(0)
    return {f"net{number}": manager.sample(rng) for number in range(count)}


def test_subnets_side_by_side_are_what_each_is_alone(
    make_config: RecipeMaker, tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    config = make_config(processes=2)
    run = untrained(config, tmp_path / "run")
    subnets = subnets_of(config, 3)
    finetune_subnets(run, subnets, done={"net2"})
    assert [helper.returncode for helper in started] == [0]
    assert not (run.subnets_folder / "net2.safetensors").exists()
    for name in ("net0", "net1"):
        alone = read_weights(finetune_subnet(run, subnets[name], name=f"{name}-alone", processes=1))[1]
        found = read_weights(run.subnets_folder / f"{name}.safetensors")[1]
        assert found.keys() == alone.keys()
        for tensor, expected in alone.items():
            assert torch.equal(found[tensor], expected), (name, tensor)


@pytest.mark.slow
def test_subnets_that_are_stopped_side_by_side_all_go_on(
    make_config: RecipeMaker, tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    config = make_config(steps=2, processes=2, finetune={"steps": 3000, "batch": 4})
    run = train_supernet(config, tmp_path / "run")
    started.clear()
    with pytest.raises(Paused):
        finetune_subnets(run, subnets_of(config, 2), hours=6 / 3600)
    assert [helper.returncode for helper in started] == [3]
    for name in ("net0", "net1"):
        checkpoint = CheckpointStore(run.work_folder(name) / "checkpoints", keep=1).latest()
        assert checkpoint is not None
        assert 0 < checkpoint.step < 3000


@pytest.mark.slow
def test_what_one_of_several_subnets_says_is_told_and_the_others_are_kept(
    make_config: RecipeMaker, tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    config = make_config(processes=2)
    run = untrained(config, tmp_path / "run")
    subnets = subnets_of(config, 2)
    finetune_subnet(run, subnets["net0"], name="net1", processes=1)
    with pytest.raises(UserError, match="holds a training with another arch"):
        finetune_subnets(run, subnets)
    assert (run.subnets_folder / "net0.safetensors").is_file()


def explode(*, who: str) -> None:
    """A task of a helper's, which only the helper fails at."""
    raise UserError(f"{who}: no such picture")


@pytest.mark.slow
def test_what_only_a_helper_knows_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    gone = helpers.LostProcessError("gone")
    with pytest.raises(UserError, match=r"^a: no such picture$"), helpers.joined_by(1, explode, who="a"):
        raise gone


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="children are told by Linux alone")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_first(make_config: RecipeMaker, tmp_path: Path, number: int) -> None:
    """Neither where it is stopped in its middle nor where it is killed."""
    recipe = tmp_path / "recipe.yaml"
    config = make_config(processes=2, steps=4000)
    recipe.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    command = [sys.executable, "-m", "nas", "train", str(recipe), "--runs", str(tmp_path)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    metrics = tmp_path / config.name / "metrics.jsonl"
    while not metrics.is_file():
        assert process.poll() is None, process.communicate()[0].decode()
        time.sleep(0.2)
    (helper,) = children(process.pid)
    process.send_signal(number)
    told = process.communicate(timeout=60)[0].decode()
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    assert "Traceback" not in told
    for _ in range(100):
        if not Path(f"/proc/{helper}").exists():
            break
        time.sleep(0.2)
    assert not Path(f"/proc/{helper}").exists()


def children(parent: int) -> list[int]:
    """Helpers among a process's children."""
    found = []
    for task in Path(f"/proc/{parent}/task").iterdir():
        for child in (task / "children").read_text().split():
            if b"nas.train.helpers" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(int(child))
    return found
