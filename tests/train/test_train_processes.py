"""Several processes learn what one learns."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from tiny_training import RecipeMaker
from torch import nn

import nas.train
from nas.models import read_weights
from nas.train import read_metrics, train_supernet
from nas.train.gradients import average, clip


@pytest.mark.slow
def test_two_processes_equal_one_that_accumulates(make_config: RecipeMaker, tmp_path: Path) -> None:
    changes = {"precision": "64-true", "steps": 8, "optimizer": {"lr": 1e-3, "weight_decay": 0.01}}
    one = train_supernet(make_config(**changes, accumulate=2), tmp_path / "one")

    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps(make_config(**changes).model_dump(mode="json")))
    script = Path(__file__).with_name("train_recipe.py")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"PYTHONPATH": str(Path(nas.train.__file__).parents[2])}
    done = subprocess.run(
        [*command, str(script), str(recipe), str(tmp_path / "two")],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-3000:]

    expected = read_weights(one.weights_file)[1]
    found = read_weights(tmp_path / "two" / "weights.safetensors")[1]
    for name, tensor in expected.items():
        assert torch.allclose(tensor, found[name], rtol=0, atol=1e-6), name
    lines = [read_metrics(tmp_path / name / "metrics.jsonl") for name in ("one", "two")]
    for left, right in zip(*lines, strict=True):
        assert left.keys() == right.keys()
        for key in left.keys() - {"images_per_second"}:
            assert left[key] == pytest.approx(right[key], rel=1e-6), key


def test_one_process_averages_nothing() -> None:
    parameter = nn.Parameter(torch.ones(2))
    unused = nn.Parameter(torch.ones(2))
    parameter.grad = torch.tensor([3.0, 4.0])
    losses = average(Fabric(accelerator="cpu", devices=1), [parameter, unused], {"a": torch.tensor(2.0)})
    assert losses == {"a": torch.tensor(2.0)}
    assert unused.grad is None
    assert parameter.grad.tolist() == [3.0, 4.0]


def test_clipping_scales_the_whole_gradient() -> None:
    parameters = [nn.Parameter(torch.zeros(1)) for _ in range(3)]
    parameters[0].grad, parameters[1].grad = torch.tensor([3.0]), torch.tensor([4.0])
    assert clip(parameters, 1.0).item() == pytest.approx(5.0)
    assert [p.grad.item() for p in parameters[:2] if p.grad is not None] == pytest.approx([0.6, 0.8])
    assert parameters[2].grad is None
    assert clip(parameters, None).item() == pytest.approx(1.0)
    assert clip(parameters, 2.0).item() == pytest.approx(1.0)
