"""Trains the rows of the comparison, one after the other, as `nas finetune` does; goes on as that does."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Self

from rich.console import Console

from benchmarks.flagship.picks import SHUFFLENET
from benchmarks.flagship.rows import HAND_MADE, KINDS, Comparison, Row, images_of
from benchmarks.flagship.workplace import Workplace
from nas.errors import UserError
from nas.interrupt import Paused
from nas.runs import FinetuneConfig, RunFolder, load_finetune_config, open_data
from nas.train import finetune_subnet
from nas.train.clock import Deadline


@dataclass(frozen=True)
class Lengths:
    """How many images the trainings of a run see.

    Args:
        finetuning: of the recipe's fine-tuning.
        supernet: of the supernet, with those before it that taught the weights which it began with.
    """

    finetuning: int
    supernet: int

    @classmethod
    def of(cls, run: RunFolder, comparison: Comparison) -> Self:
        config = run.config()
        samples = len(open_data(config, config.load_space(), run).training.order)
        finetuning, supernet = (
            recipe.total_steps(samples) * recipe.batch for recipe in (config.finetune, config)
        )
        return cls(finetuning, supernet + comparison.earlier_images)

    def recipe(self, run: RunFolder, row: Row, *, budgets: int) -> FinetuneConfig:
        """That of the run's fine-tuning, for as many images as a row is given."""
        images = images_of(row.kind, finetuning=self.finetuning, supernet=self.supernet, budgets=budgets)
        return load_finetune_config(run, [f"images={images}"])


def train_rows(
    place: Workplace,
    comparison: Comparison,
    *,
    rows: Sequence[str] = ("*",),
    hours: float | None = None,
    console: Console | None = None,
) -> None:
    """Train what is not trained yet, in the order of value.

    Args:
        place: of the comparison.
        comparison: what is compared.
        rows: train those alone whose name is like one of these, `*-0.5ms-*` say, so that several processes
            can share the work.
        hours: stop after so long, at the end of a step; None to go on to the end.
        console: where to show progress.

    Raises:
        Paused: after `hours`; the same call goes on.
        UserError: no row has such a name; another network was trained under a row's name; or as
            `finetune_subnet` does.
        KeyboardInterrupt: after Ctrl-C, with a checkpoint written.
    """
    deadline = Deadline(hours)
    lengths, begun = Lengths.of(place.run, comparison), False
    for row in _named(comparison.rows, rows):
        arch = place.picked(KINDS[row.kind].pick, row.budget_ms)
        if arch is None:
            print(f"{row.name}: its architecture is not picked yet", flush=True)
            continue
        place.require_picked(row)
        if place.training(row) is not None and place.weights_file(row).is_file():
            continue
        # One row is begun in any case: a part of no length gets on too.
        if begun and deadline.left <= 0:
            raise Paused(f"before {row.name}")
        begun = True
        print(f"{row.name}: {arch.id}", flush=True)
        finetune_subnet(
            _open_home(place, row),
            arch,
            recipe=lengths.recipe(place.run, row, budgets=len(comparison.budgets_ms)),
            name=row.name,
            scratch=KINDS[row.kind].scratch,
            seed=row.seed,
            hours=deadline.hours_left,
            console=console,
        )


def _named(rows: Sequence[Row], patterns: Sequence[str]) -> list[Row]:
    """The rows that patterns name. Raises UserError where one names none."""
    named = {pattern: [row for row in rows if fnmatchcase(row.name, pattern)] for pattern in patterns}
    if missing := [pattern for pattern, found in named.items() if not found]:
        raise UserError(f"no row is called {missing[0]}; there are {', '.join(row.name for row in rows)}")
    return [row for row in rows if any(row in found for found in named.values())]


def _open_home(place: Workplace, row: Row) -> RunFolder:
    """The run that a row is trained in; of hand-made networks one like the supernet's, but of their space."""
    home = place.home(row)
    if row.kind != HAND_MADE:
        return home
    changes = {"name": HAND_MADE, "space": str(SHUFFLENET.resolve()), "resolutions": None, "heads": None}
    RunFolder.start(home.path, place.run.config().model_copy(update=changes))
    return RunFolder.open(home.path, place.overrides)
