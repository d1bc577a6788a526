"""Trainings on several gloo processes, as `torchrun` starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch
from torch import Tensor

import nas.train
from nas.runs.config import SupernetConfig
from nas.train.checkpoint import CheckpointStore

SCRIPT = Path(__file__).with_name("train_recipe.py")


def torchrun(
    *command: str, ranks: int, restarts: int = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `python COMMAND` on so many processes; one thread each, without sight of a GPU."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    arguments = ["--nproc-per-node", str(ranks), "--max-restarts", str(restarts), *command]
    variables = {"PYTHONPATH": str(Path(nas.train.__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*launcher, *arguments],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
        env=os.environ | variables | environment,
    )


def write_recipe(config: SupernetConfig, path: Path) -> Path:
    path.write_text(json.dumps(config.model_dump(mode="json")))
    return path


def train_on_ranks(config: SupernetConfig, folder: Path, *, ranks: int = 2, **environment: str) -> None:
    """Train a recipe on several processes; each leaves its own weights beside the run's folder."""
    recipe = write_recipe(config, folder.with_suffix(".json"))
    done = torchrun(str(SCRIPT), str(recipe), str(folder), ranks=ranks, **environment)
    assert done.returncode == 0, done.stderr[-3000:]


def last_weights(folder: Path) -> dict[str, Tensor]:
    """The network and its average in the last checkpoint, in the precision of the training."""
    checkpoint = CheckpointStore(folder / "checkpoints", keep=1).latest()
    assert checkpoint is not None
    return {f"{kind}.{name}": t for kind, part in checkpoint.weights.items() for name, t in part.items()}


def assert_two_are_one_that_accumulates(config: SupernetConfig, folder: Path) -> None:
    """Two processes learn what one learns in two parts."""
    nas.train.train_supernet(config.model_copy(update={"accumulate": 2}), folder / "one")
    train_on_ranks(config, folder / "two")
    expected, found = last_weights(folder / "one"), last_weights(folder / "two")
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-10)


def assert_bit_equal(folder: Path) -> None:
    """Both processes ended with the same weights."""
    first, second = (rank_weights(folder, rank) for rank in (0, 1))
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def rank_weights(folder: Path, rank: int) -> dict[str, Tensor]:
    """The weights that one process ended with."""
    found: dict[str, Tensor] = torch.load(folder.with_suffix(f".rank{rank}.pt"), weights_only=True)
    return found
