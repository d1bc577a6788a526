"""Train, and die by SIGKILL before a step: python killed_training.py RECIPE.json FOLDER STEP."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from nas.runs.config import SupernetConfig
from nas.train.supernet import train_supernet
from nas.train.update import Updater


def main(recipe: str, folder: str, step: str) -> None:
    config = SupernetConfig.read(json.loads(Path(recipe).read_text()), recipe)
    original = Updater.step

    def dying(self: Updater, plan: Any, parts: Any) -> dict[str, float]:
        if plan.step == int(step):
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, plan, parts)

    Updater.step = dying  # type: ignore[method-assign]
    train_supernet(config, folder)


main(*sys.argv[1:])
