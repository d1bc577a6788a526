"""Several subnets that are fine-tuned at once, by one process each."""

import logging
from collections.abc import Container, Mapping
from functools import partial
from pathlib import Path

from rich.console import Console

from nas.runs.config import FinetuneConfig
from nas.runs.folder import RunFolder
from nas.space import Arch
from nas.train.clock import Deadline
from nas.train.finetune import finetune_subnet
from nas.train.helpers import beside

_log = logging.getLogger(__name__)


def finetune_subnets(
    folder: RunFolder | Path | str,
    subnets: Mapping[str, Arch],
    *,
    done: Container[str] = (),
    recipe: FinetuneConfig | None = None,
    hours: float | None = None,
    console: Console | None = None,
) -> None:
    """Train subnets on, each by one of the run's processes; all processes share the batches of an only one.

    That takes less time than one after the other by all processes: none waits for another one, and batch norm
    sees whole batches.

    Args:
        folder: of a run whose supernet is trained.
        subnets: architectures of the run's space by the names of their files.
        done: names of those that are finished.
        recipe, hours, console: as of `finetune_subnet`. Progress is shown of the trainings of this process.

    Raises:
        Paused, UserError, KeyboardInterrupt: as `finetune_subnet`, of any of them; all keep what they have.
    """
    run = RunFolder.open(folder)
    count = run.config().processes
    shared = count if len(subnets) == 1 else 1
    missing = [(name, arch) for name, arch in subnets.items() if name not in done]
    own, *others = [dict(missing[first::count]) for first in range(max(1, min(count, len(missing))))]
    with beside([partial(_in_turn, run.path, lane, 1, recipe, hours) for lane in others]):
        _in_turn(run.path, own, shared, recipe, hours, console)
        if names := [name for lane in others for name in lane]:
            _log.info("waiting for %s", ", ".join(names))


def _in_turn(
    folder: Path,
    subnets: Mapping[str, Arch],
    processes: int,
    recipe: FinetuneConfig | None,
    hours: float | None,
    console: Console | None = None,
) -> None:
    deadline = Deadline(hours)
    for name, arch in subnets.items():
        finetune_subnet(
            folder,
            arch,
            recipe=recipe,
            name=name,
            processes=processes,
            hours=deadline.hours_left,
            console=console,
        )
