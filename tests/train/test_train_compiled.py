"""Which weight gradient a training learns by: measured once, kept in its checkpoints."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from lightning_fabric import Fabric
from test_train_resume import Killed, before_step, die
from tiny_training import RecipeMaker
from torch import Tensor

from nas.layers import ElasticLayer
from nas.layers.compiled.convolution import weight_gradient
from nas.models import PoseNet, read_weights
from nas.runs.folder import RunFolder
from nas.space import SearchSpace
from nas.train import compiled, loop, train_supernet
from nas.train.checkpoint import CheckpointStore
from nas.train.compiled import COMPILED, TORCH, choose_loops


def ways(net: PoseNet) -> set[bool]:
    return {layer.compiled for layer in net.modules() if isinstance(layer, ElasticLayer)}


@pytest.fixture(scope="module")
def fabric() -> Fabric:
    return Fabric(accelerator="cpu", devices=1)


def test_a_new_training_takes_loops_unless_they_are_clearly_slower(
    fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = PoseNet(SearchSpace.load("demo"), "coco17")
    for shortest, way in (([2.0, 1.0], COMPILED), ([0.9, 1.0], COMPILED), ([1.0, 2.0], TORCH)):
        monkeypatch.setattr(compiled, "_seconds", lambda *_, seconds=shortest: seconds)
        assert choose_loops(net, fabric) == way
        assert ways(net) == {way == COMPILED}


def test_a_busy_moment_does_not_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, passes = 0.0, 0
    weight = torch.ones(1, requires_grad=True)

    def costing(seconds: float) -> Callable[[], Tensor]:
        def layers() -> Tensor:
            nonlocal clock, passes
            passes += 1
            clock += seconds * (5 if passes > 7 else 1)  # something else begins to use the machine
            return weight * 1

        return layers

    monkeypatch.setattr(compiled.time, "thread_time", lambda: clock)
    assert compiled._seconds([costing(1.5), costing(1.0)], [weight]) == [1.5, 1.0]


def test_small_kernels_stay_with_torch(fabric: Fabric, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_seconds", lambda *_: pytest.fail("measured"))
    monkeypatch.setattr(compiled, "LEAST_KERNEL", 9)
    net = PoseNet(SearchSpace.load("demo"), "coco17")
    assert choose_loops(net, fabric) == TORCH
    assert ways(net) == {False}


def test_a_resumed_training_measures_nothing(fabric: Fabric, monkeypatch: pytest.MonkeyPatch) -> None:
    net = PoseNet(SearchSpace.load("demo"), "coco17")
    monkeypatch.setattr(compiled, "_seconds", lambda *_: pytest.fail("measured"))
    for way in (TORCH, COMPILED):
        assert choose_loops(net, fabric, former=way) == way
        assert ways(net) == {way == COMPILED}


def test_without_a_compiler_torch_goes_on_and_says_so(
    fabric: Fabric, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    net = PoseNet(SearchSpace.load("demo"), "coco17")
    monkeypatch.setattr(compiled, "available", lambda: False)
    assert choose_loops(net, fabric) == TORCH
    assert not caplog.records
    assert choose_loops(net, fabric, former=COMPILED) == TORCH
    assert ways(net) == {False}
    assert "no longer equal to the bit" in caplog.text


@pytest.fixture
def taking(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str | None]]:
    """Makes new trainings take a way; gives the ways that their checkpoints name."""

    def take(way: str) -> list[str | None]:
        asked: list[str | None] = []

        def learn(net: PoseNet, fabric: Fabric, *, former: str | None = None) -> str:
            asked.append(former)
            return choose_loops(net, fabric, former=former or way)

        monkeypatch.setattr(loop, "choose_loops", learn)
        return asked

    return take


def test_both_ways_learn_the_same(
    make_config: RecipeMaker,
    tmp_path: Path,
    taking: Callable[[str], list[str | None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weights, calls = [], Mock(wraps=weight_gradient)
    monkeypatch.setattr("nas.layers.compiled.convolution.weight_gradient", calls)
    for way in (COMPILED, TORCH):
        assert taking(way) == []
        # In double precision, since Adam blows up what rounding leaves of gradients that are zero.
        run = train_supernet(make_config(steps=20, precision="64-true"), tmp_path / way)
        weights.append(read_weights(run.weights_file)[1])
        assert calls.called == (way == COMPILED)
        calls.reset_mock()
    for name in weights[0]:
        torch.testing.assert_close(weights[0][name], weights[1][name], rtol=1e-6, atol=1e-7)


def test_checkpoints_keep_the_way(
    make_config: RecipeMaker, tmp_path: Path, taking: Callable[[str], list[str | None]], caplog: Any
) -> None:
    caplog.set_level(logging.INFO)
    asked = taking(COMPILED)
    with before_step(8, die), pytest.raises(Killed):
        train_supernet(make_config(), tmp_path / "run")
    store = CheckpointStore(RunFolder(tmp_path / "run").path / "checkpoints", keep=2)
    newest = store.latest()
    assert newest is not None
    assert newest.state["loops"] == COMPILED
    # A checkpoint of a time that knew torch's way only.
    state = {name: value for name, value in newest.state.items() if name != "loops"}
    store.save(type(newest)(newest.step, newest.weights, state))
    train_supernet(make_config(), tmp_path / "run")
    assert asked == [None, TORCH]
