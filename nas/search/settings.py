"""What to search for, and how progress is told."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from nas.errors import UserError
from nas.search.limits import Limits
from nas.search.loop import ShowProgress
from nas.timing import TimingProgress

TRIALS = 200
"""Networks that a search scores where nothing is said."""


@dataclass(frozen=True)
class SearchSettings:
    """What to search for.

    Args:
        budgets_ms: hard limits, end to end.
        trials: networks to score for these budgets; None for 200, and for none where `device` is given.
        heads: the only ones to look at; none for all of the space.
        metric: the score that is searched for, such as AP or PCK_torso@0.2.
        people: expected per image; a head on person crops runs once for each.
        detector_ms: of the person detector that finds the crops.
        detector: its ONNX file, to be timed here; instead of `detector_ms`.
        finalists: networks per budget that are measured.
        refine: most networks that are measured during the search to refit the predictor.
        calibration_images: that networks are scored with while searching; None for 64 in a new search, and
            for what they were scored with in one that is gone on with.
        early_stopping: whether networks that will not be among the finalists are stopped; None for yes in a
            new search, and for no in one of a version that stopped none.
        sampler: what draws networks, one of `nas.search.samplers.SAMPLERS`.
        prior: a run with other weights of the same space; what does well there is expected to do well here,
            as long as this run's own networks do not say otherwise.
        seed: of all random choices.
        predictor: None for the run folder's own.
        device: a predictor of another device (or thread count, precision ...), instead of `predictor`, to
            find subnets for it among all that was scored; they have a place of their own.
        allow_other_device: search with a predictor of another device; nothing is measured then.
        measure: whether finalists are measured where the predictor is of this device; without, the best as
            predicted are taken, which on a machine that others use is closer than what it would measure.
        each_head: whether every head is searched by itself, in turns, so that none is left behind.
        train_finalists: images that the best networks of different heads (or runs) are trained on for; which
            of them is chosen goes by what they score then. 0 to choose by inherited scores.
        storage: an Optuna storage URL; None for sqlite in the run folder.
        limits: hard ones, besides the budgets.
        processes: of this machine that score at once. Above 1, which networks are scored depends on their
            pace too; with 1 it is a function of the seed.
    """

    budgets_ms: Sequence[float]
    trials: int | None = None
    metric: str = "AP"
    heads: Sequence[str] = ()
    people: int = 1
    detector_ms: float = 0.0
    detector: Path | None = None
    finalists: int = 3
    refine: int = 0
    calibration_images: int | None = None
    early_stopping: bool | None = None
    sampler: str = "surrogate"
    prior: Path | None = None
    seed: int = 0
    predictor: Path | None = None
    device: Path | None = None
    allow_other_device: bool = False
    measure: bool = True
    each_head: bool = True
    train_finalists: int = 0
    storage: str | None = None
    limits: Limits = field(default_factory=Limits)
    processes: int = 1

    @property
    def to_score(self) -> int:
        """How many networks to score for these budgets."""
        if self.trials is not None:
            return self.trials
        return TRIALS if self.device is None else 0

    def check_shared(self, by: str) -> None:
        """Raises UserError for what several processes cannot agree on; `by` is what makes them several."""
        if self.refine:
            raise UserError(f"`refine` refits the predictor of one process: leave it out, or `{by}`")
        if self.detector is not None:
            raise UserError(
                "`detector` is timed anew by every process, which have to agree: give `detector_ms` instead"
            )


@dataclass(frozen=True)
class Displays:
    """How a search tells what it does; each is entered for as long as that lasts.

    Args:
        scoring: told after every scored network.
        timing: told how measuring goes.
        training: where finalists that are trained show how far they are; None for nowhere.
    """

    scoring: Callable[[], AbstractContextManager[ShowProgress]] = lambda: nullcontext(lambda _: None)
    timing: Callable[[], AbstractContextManager[TimingProgress | None]] = nullcontext
    training: Console | None = None

    @classmethod
    def of(cls, progress: "ShowProgress | Displays | None") -> "Displays":
        """Displays as they are given; of a function, those that call it after every scored network."""
        if progress is None:
            return cls()
        return progress if isinstance(progress, Displays) else cls(scoring=lambda: nullcontext(progress))
