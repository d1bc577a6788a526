"""The benchmark of training on a GPU, tried on the CPU: it has to work where it first meets one."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gpu
import gpu_device
import numpy as np
import pytest
import torch
from gpu_device import Utilisation, in_turn, without_tf32
from gpu_step import Bench
from head_samples import SHIPPED_HEADS, small_arch

from nas.space import SearchSpace, Skeleton

QUICK = ("forward", "step", "training", "bf16")


@pytest.fixture
def arguments(tiny_files: Path, tmp_path: Path) -> list[str]:
    """Tiny settings on the CPU; results go to `out`."""
    settings = {"space": tiny_files / "space.yaml", "out": tmp_path / "out", "device": "cpu", "batch": 2}
    more = {"parity-batch": 2, "steps": 1, "random": 1}
    flags = [f"--{name}={value}" for name, value in {**settings, **more}.items()]
    return [*flags, "--resolution", "32", "32"]


def results(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "out" / "gpu.json").read_text())
    return found


def test_every_quick_section_gives_its_figures(arguments: list[str], tmp_path: Path) -> None:
    assert gpu.main([*arguments, "--sections", *QUICK]) == 0
    found = results(tmp_path)
    assert found["networks"] == 3
    assert (found["batch"], found["resolution"], found["gpu"]) == (2, [32, 32], None)
    sections = found["sections"]
    assert list(sections) == list(QUICK)
    # The device is the CPU itself.
    assert sections["forward"]["largest_error"] == sections["forward"]["smallest_error"] == 0
    assert sections["step"]["loss_error"] == sections["step"]["gradient_error"] == 0
    training = sections["training"]
    assert training["images_per_second"] == pytest.approx(2e3 / training["step_ms"])
    assert training["utilisation_left_out"] == "not of a CPU"
    assert 0 < sections["bf16"]["first_losses_differ_by"] < 0.2
    table = (tmp_path / "out" / "gpu.md").read_text()
    assert found["date"] in table
    assert found["machine"] in table
    assert f"| bf16 | times_faster | {sections['bf16']['times_faster']:.4g} |" in table


def test_a_section_that_fails_is_told_and_the_others_go_on(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(bench: Bench) -> gpu.Figures:
        raise RuntimeError("no such kernel\nand a long story")

    monkeypatch.setitem(gpu.SECTIONS, "forward", fail)
    assert gpu.main([*arguments, "--sections", "forward", "step"]) == 1
    sections = results(tmp_path)["sections"]
    assert sections["forward"]["failed"] == "RuntimeError: no such kernel"
    assert sections["step"]["within"]
    assert "forward: FAILED, RuntimeError: no such kernel\n" in capsys.readouterr().out
    assert "| forward | failed | RuntimeError: no such kernel |" in (tmp_path / "out" / "gpu.md").read_text()


@pytest.mark.parametrize("section", ["forward", "step"])
def test_a_device_that_computes_something_else_is_noticed(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    section: str,
) -> None:
    original = Bench.trainer
    trained = []

    def trainer(self: Bench, **options: Any) -> Any:
        found = original(self, **options)
        if trained:  # the second one is the device's
            with torch.no_grad():
                next(found.state.net.parameters()).mul_(1.5)[0].zero_()
        trained.append(found)
        return found

    monkeypatch.setattr(Bench, "trainer", trainer)
    assert gpu.main([*arguments, "--sections", section]) == 1
    assert not results(tmp_path)["sections"][section]["within"]
    assert f"{section}: OUTSIDE ITS LIMIT" in capsys.readouterr().out


def test_no_section_begins_after_the_limit(arguments: list[str], tmp_path: Path) -> None:
    assert gpu.main([*arguments, "--sections", "step", "--limit-s", "-1"]) == 1
    assert results(tmp_path)["sections"]["step"]["failed"].startswith("TimeoutError: not begun")


def test_without_a_gpu_one_line_says_how_to_try_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        gpu.main(["--out", str(tmp_path / "out")])
    assert "torch finds no GPU here; --device cpu tries the script" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_compiled_network_is_compared(arguments: list[str], tmp_path: Path) -> None:
    assert gpu.main([*arguments, "--sections", "compile"]) == 0
    found = results(tmp_path)["sections"]["compile"]
    assert found["first_losses_differ_by"] < 1e-3
    assert found["compile_seconds"] > 0
    assert found["compiled_images_per_second"] > 0


@pytest.mark.parametrize("head", SHIPPED_HEADS)
def test_every_head_gets_targets_that_it_learns_from(head: str) -> None:
    space = SearchSpace.of(small_arch(head))
    bench = Bench(space, Skeleton.load("coco17"), "cpu", batch=2, parity_batch=2, steps=1, random=0)
    losses = bench.trainer(device="cpu").step(bench.plan, [bench.part(bench.plan, device="cpu")])
    assert f"{head}/largest" in losses
    assert np.isfinite(list(losses.values())).all()


def fake_gpu(monkeypatch: pytest.MonkeyPatch, folder: Path, program: str) -> None:
    """A GPU by its name, and an nvidia-smi that runs that shell program."""
    file = folder / "nvidia-smi"
    file.write_text(f"#!/bin/sh\n{program}\n")
    file.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid="12-34"))


def watched() -> dict[str, Any]:
    """What is said of a GPU: it is looked at once at least, however short the work."""
    with Utilisation("cuda") as utilisation:
        pass
    return utilisation.figures()


def test_utilisation_is_what_nvidia_smi_says_of_the_gpu_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_gpu(monkeypatch, tmp_path, 'echo "$@" > "$0.arguments"; echo 93')
    found = watched()
    assert found["utilisation_percent"] == 93
    assert found["utilisation_samples"] == 1
    asked = (tmp_path / "nvidia-smi.arguments").read_text().split()
    assert asked == ["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-i", "GPU-12-34"]


@pytest.mark.parametrize("program", ["echo [N/A]", "exit 9"])
def test_an_nvidia_smi_that_does_not_say_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    fake_gpu(monkeypatch, tmp_path, program)
    found = watched()
    assert found["utilisation_percent"] is None
    assert found["utilisation_left_out"].startswith("nvidia-smi: ")


def test_no_nvidia_smi_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert watched() == {"utilisation_percent": None, "utilisation_left_out": "no nvidia-smi here"}


def test_ways_are_timed_in_turn_and_warming_up_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr(gpu_device.time, "perf_counter", lambda: next(clock))
    calls: list[str] = []
    seconds = in_turn([lambda: calls.append("a"), lambda: calls.append("b")], 4, "cpu")
    assert [len(row) for row in seconds] == [4, 4]
    rounds = [calls[start : start + 2] for start in range(0, len(calls), 2)]
    assert len(rounds) == 4 + gpu_device.WARM_UPS
    assert all(sorted(pair) == ["a", "b"] for pair in rounds)
    assert {tuple(pair) for pair in rounds} == {("a", "b"), ("b", "a")}


def test_tf32_is_off_within_and_as_before_afterwards() -> None:
    parts = (torch.backends.cuda.matmul, torch.backends.cudnn)
    former = [part.allow_tf32 for part in parts]
    with without_tf32():
        assert [part.allow_tf32 for part in parts] == [False, False]
    assert [part.allow_tf32 for part in parts] == former
