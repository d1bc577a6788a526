"""Train a recipe: python train_recipe.py RECIPE.json FOLDER.

Every process of several leaves the weights that it ended with in FOLDER.rankN.pt. With DIE_AT=STEP, DIE_RANK
and DIE_ONCE=FILE in the environment that process dies by SIGKILL before that step, once.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch

from nas.train.config import SupernetConfig
from nas.train.supernet import train_supernet
from nas.train.update import Updater


def main(recipe: str, folder: str) -> None:
    original = Updater.step
    rank = os.environ.get("RANK", "0")
    last: list[Updater] = []

    def stepping(self: Updater, plan: Any, parts: Any) -> dict[str, float]:
        last[:] = [self]
        if os.environ.get("DIE_AT") == str(plan.step) and os.environ.get("DIE_RANK") == rank:
            mark = Path(os.environ["DIE_ONCE"])
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return original(self, plan, parts)

    Updater.step = stepping  # type: ignore[method-assign]
    train_supernet(SupernetConfig.read(json.loads(Path(recipe).read_text()), recipe), folder)
    if last:
        torch.save(last[0].state.net.state_dict(), Path(folder).with_suffix(f".rank{rank}.pt"))


if __name__ == "__main__":
    main(*sys.argv[1:])
