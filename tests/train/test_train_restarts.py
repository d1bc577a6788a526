"""Processes that die are started again, time after time, and the weights come out as if none had died."""

import multiprocessing
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import restarting
import torch
from ranks import write_recipe
from tiny_training import RecipeMaker
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from nas.models import read_weights
from nas.runs import RunFolder, read_metrics

DEATHS = 20


def launched(recipe: Path, folder: Path, *, deaths: int, seed: int) -> RunFolder:
    """Train on two processes with as many restarts as there are deaths: none may be needed for anything else.

    The agent is torchrun's; its processes fork from one that has imported everything.
    """
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=2,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        run_id=folder.name,
        max_restarts=deaths,
        start_method="forkserver",
    )
    elastic_launch(config, restarting.train)(str(recipe), str(folder), deaths, seed)
    return RunFolder(folder)


@pytest.fixture
def forkserver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    multiprocessing.get_context("forkserver").set_forkserver_preload(["restarting"])


def losses(run: RunFolder) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if "/" in k} for line in read_metrics(run.metrics_file)]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on this system")
def test_20_of_20_restarts_go_on_at_once(make_config: RecipeMaker, tmp_path: Path, forkserver: None) -> None:
    # An attempt takes one step at most, and keeps it.
    config = make_config(steps=DEATHS + 5, log_every=1, checkpoint={"every": 1, "keep": 2})
    recipe = write_recipe(config, tmp_path / "recipe.json")
    straight = launched(recipe, tmp_path / "straight", deaths=0, seed=0)
    killed = launched(recipe, tmp_path / "killed", deaths=DEATHS, seed=0)
    met = Path(f"{killed.path}.log").read_text().splitlines()
    assert {line.partition(":")[0] for line in met} == {f"attempt {number}" for number in range(DEATHS)}
    assert {line.rpartition(" ")[2] for line in met} == set(restarting.PLACES)
    expected, found = (read_weights(run.weights_file)[1] for run in (straight, killed))
    for name, tensor in expected.items():
        assert torch.equal(tensor, found[name]), name
    assert losses(straight) == losses(killed)
