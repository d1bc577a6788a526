"""One process of a training that an elastic agent starts again and again, because it is killed."""

import json
import os
import random
import signal
from pathlib import Path
from typing import Any

import torch.distributed

from nas.runs.config import SupernetConfig
from nas.train.checkpoint import CheckpointStore
from nas.train.supernet import train_supernet
from nas.train.update import Updater

BOTH = (0, 1)
PLACES: dict[str, tuple[Any, str, tuple[int, ...]]] = {
    "start": (SupernetConfig, "read", BOTH),
    "joining": (torch.distributed, "init_process_group", BOTH),
    "step": (Updater, "step", BOTH),
    "checkpoint": (CheckpointStore, "_rotate", (0,)),
}
"""What a process may die at, and the ranks that get there."""


def train(recipe: str, folder: str, deaths: int, seed: int) -> None:
    """Train; in each of the first `deaths` attempts a process or both die by SIGKILL where the seed has it.

    Who dies where is appended to FOLDER.log.
    """
    attempt, rank = int(os.environ["TORCHELASTIC_RESTART_COUNT"]), int(os.environ["RANK"])
    rng = random.Random(seed + attempt)
    place = rng.choice(sorted(PLACES))
    owner, name, ranks = PLACES[place]
    dying = rng.choice([(number,) for number in ranks] + [ranks])
    if attempt < deaths and rank in dying:
        with Path(f"{folder}.log").open("a") as log:
            log.write(f"attempt {attempt}: rank {rank} at {place}\n")
        _die_at(owner, name, after=rng.choice([True, False]))
    train_supernet(SupernetConfig.read(json.loads(Path(recipe).read_text()), recipe), folder)


def _die_at(owner: Any, name: str, *, after: bool) -> None:
    original = getattr(owner, name)

    def dying(*arguments: Any, **options: Any) -> None:
        if after:
            original(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, dying)
