"""Train in a process of its own that dies by SIGKILL wherever chance has it."""

import itertools
import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nas.runs.config import SupernetConfig
from nas.train.supernet import train_supernet

_FILE_EVENTS = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "shutil.rmtree")


def train(values: dict[str, Any], folder: str, die_at: int | None = None) -> None:
    """Train a recipe.

    Args:
        values: of the recipe.
        folder: of the run.
        die_at: SIGKILL at so many'th touch of a file in the folder, before it happens; None for never.
    """
    if die_at is not None:
        touches = itertools.count(1)

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            if event in _FILE_EVENTS and str(arguments[0]).startswith(folder) and next(touches) == die_at:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
    train_supernet(SupernetConfig.read(values, "recipe"), folder)


def count_touches(values: dict[str, Any], folder: str, result: str) -> None:
    """Train a recipe and write to a file how often it touched a file in the folder."""
    touches = itertools.count()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _FILE_EVENTS and str(arguments[0]).startswith(folder):
            next(touches)

    sys.addaudithook(hook)
    train_supernet(SupernetConfig.read(values, "recipe"), folder)
    Path(result).write_text(str(next(touches)))


def kill_points(seed: int, *, touches: int, seconds: float) -> Iterator[tuple[str, float]]:
    """Where runs die: every other one at a touch of a file, the others at a time, both drawn at random."""
    rng = random.Random(seed)
    while True:
        yield "touch", rng.randint(1, touches)
        yield "time", rng.uniform(0.0, seconds)
