"""Train a recipe: python train_recipe.py RECIPE.json FOLDER.

Every process of several leaves the weights that it ended with in FOLDER.rankN.pt. With DIE_AT=STEP, DIE_RANK
and DIE_ONCE=FILE in the environment that process dies by SIGKILL before that step, once. With LATE in it the
second process looks for checkpoints only when there is one, or after some seconds. With HOURS it trains so
long by a clock that goes on by an hour with every step; with AHEAD that of the second process runs ahead.
"""

import json
import os
import signal
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch

from nas.interrupt import Paused
from nas.runs.config import SupernetConfig
from nas.train import supernet
from nas.train.checkpoint import Checkpoint, CheckpointStore
from nas.train.clock import Deadline
from nas.train.supernet import train_supernet
from nas.train.update import Updater


def main(recipe: str, folder: str) -> None:
    original = Updater.step
    rank = os.environ.get("RANK", "0")
    last: list[Updater] = []
    taken: list[int] = []

    def stepping(self: Updater, plan: Any, parts: Any) -> dict[str, float]:
        last[:] = [self]
        if os.environ.get("DIE_AT") == str(plan.step) and os.environ.get("DIE_RANK") == rank:
            mark = Path(os.environ["DIE_ONCE"])
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        taken.append(plan.step)
        return original(self, plan, parts)

    Updater.step = stepping  # type: ignore[method-assign]
    if "LATE" in os.environ and rank == "1":
        look_late()
    pace = 3600 * (1000 if "AHEAD" in os.environ and rank == "1" else 1)
    supernet.Deadline = partial(Deadline, clock=lambda: float(pace * len(taken)))  # type: ignore[assignment,misc]
    hours = float(os.environ["HOURS"]) if "HOURS" in os.environ else None
    config = SupernetConfig.read(json.loads(Path(recipe).read_text()), recipe)
    with suppress(Paused):
        train_supernet(config, folder, hours=hours)
    if last:
        torch.save(last[0].state.net.state_dict(), Path(folder).with_suffix(f".rank{rank}.pt"))


def look_late() -> None:
    original = CheckpointStore.latest

    def latest(self: CheckpointStore, **options: Any) -> Checkpoint | None:
        for _ in range(30):
            if self.paths():
                break
            time.sleep(0.1)
        return original(self, **options)

    CheckpointStore.latest = latest  # type: ignore[method-assign]


if __name__ == "__main__":
    main(*sys.argv[1:])
