"""The one training loop, of supernets and of single networks."""

import logging
import math
from collections.abc import Mapping
from functools import partial

from lightning_fabric import Fabric
from rich.console import Console

from nas.errors import UserError
from nas.interrupt import Interruption, Paused, StopRequest
from nas.models import PoseNet
from nas.progress import ProgressDisplay, duration
from nas.runs.config import FinetuneConfig
from nas.runs.metrics import PLACE_OF_RANDOM
from nas.train.checkpoint import Checkpoint, CheckpointStore
from nas.train.clock import TIME_UP, Deadline, Laps
from nas.train.compiled import TORCH, choose_loops
from nas.train.ema import averaged
from nas.train.estimate import memory_so_far, require_disk
from nas.train.gradients import agree
from nas.train.job import Job
from nas.train.metrics import MetricsWriter
from nas.train.optimizer import build_optimizer
from nas.train.rate import Rate
from nas.train.schedule import Schedule
from nas.train.state import TrainingState
from nas.train.update import Updater

_TIMED_STEPS = 10
"""After so many steps a training says how long it will take."""

_SHOWN = ("/largest", "/smallest", "/labels")
"""Ends of the names of losses that a line shows, places of random networks beside them; the file has all."""

_LINE_EVERY = 15.0
"""Where the output is no terminal, at most one line in so many seconds."""

_MOST_SKIPPED = 0.1
"""A training that skips a larger share of its steps diverges."""

_log = logging.getLogger(__name__)


def fit(
    job: Job, fabric: Fabric, *, console: Console | None = None, deadline: Deadline | None = None
) -> PoseNet:
    """Train to the end, from the last checkpoint where there is one; returns the averaged network.

    One that was killed and started again gives the same weights as one that was not (CPU, same threads).

    Raises:
        Paused: after the deadline, but one step at least; a checkpoint has been written.
        Interruption: after SIGINT, SIGTERM or SIGHUP; a checkpoint has been written.
        UserError: the training diverges, its folder belongs to another one, or the disk is full.
    """
    console = console if fabric.is_global_zero else None
    return _Loop(job, fabric, console, deadline or Deadline(None)).train()


class _DivergingError(Exception):
    """Too many steps, the last one, or the weights themselves are not finite."""


class _Loop:
    def __init__(self, job: Job, fabric: Fabric, console: Console | None, deadline: Deadline) -> None:
        self.job = job
        self.fabric = fabric
        self.console = console
        self.deadline = deadline
        self.store = CheckpointStore(job.folder / "checkpoints", keep=job.config.checkpoint.keep)
        self.state = TrainingState(
            net=job.net,
            ema=averaged(job.net, job.recipe.ema.decay),
            optimizer=build_optimizer(job.named_parameters(), job.recipe.optimizer),
            identity=job.identity,
            weighting=job.weighting,
        )
        schedule = job.recipe.schedule
        self.updater = Updater(
            state=self.state,
            rule=job.rule,
            recipe=job.recipe,
            schedule=Schedule(job.steps, schedule.warmup, schedule.flat, schedule.final),
            fabric=fabric,
            seed=job.config.seed,
        )
        self.rate = Rate()
        self.laps = Laps()
        self.puts_off = False

    def train(self) -> PoseNet:
        self._resume()
        self.job.net.train()
        while self.state.counters.step < self.job.steps:
            try:
                self._run_steps()
            except _DivergingError as reason:
                self._roll_back(str(reason))
        self._require_finite("training ended in weights that are not finite")
        self._tell_skipped()
        _log.info("%s: %s", self.job.title, self.state.spent.told())
        return self._averaged()

    def _resume(self) -> None:
        if self.fabric.is_global_zero:
            require_disk(self.job.title, self.state, self.store)
        checkpoint = self._latest()
        former = None if checkpoint is None else checkpoint.state.get("loops", TORCH)
        if isinstance(self.job.recipe, FinetuneConfig) and self.job.recipe.compile:
            former = TORCH  # torch.compile knows its own loops only
        self.state.loops = choose_loops(self.job.net, self.fabric, former=former)
        if checkpoint is None:
            self._require_finite("training starts from weights that are not finite; give other init.weights")
            self._save()
        else:
            self.state.restore(checkpoint)
            self._require_finite(f"{self.store.folder}: the newest checkpoint holds broken weights")
            _log.info("%s: resuming after step %d of %d", self.job.title, checkpoint.step, self.job.steps)

    def _latest(self) -> Checkpoint | None:
        """The newest checkpoint; no process writes another one before all have read it."""
        checkpoint = self.store.latest(device=self.fabric.device)
        self.fabric.barrier()
        return checkpoint

    def _run_steps(self) -> None:
        job, first = self.job, self.state.counters.step
        display = ProgressDisplay(
            job.title, say=partial(_log.info, "%s"), console=self.console, total=job.steps, every=_LINE_EVERY
        )
        metrics = MetricsWriter(job.folder, step=first, enabled=self.fabric.is_global_zero)
        with StopRequest() as stop, display, metrics:
            self.rate, self.laps = Rate(), Laps()
            display.begin(first)
            for step, parts in enumerate(self.rate.waiting(job.feed(first, job.steps)), start=first):
                plan = job.planner(step)
                asked = stop.number or (TIME_UP if step > first and self._is_time_up() else 0)
                if asked := agree(self.fabric, plan.digest, stop=asked):
                    self._stop(asked)
                self._count(self.updater.step(plan, parts))
                self.rate.step()
                if step == first + _TIMED_STEPS:
                    self._tell_length()
                self._after_step(metrics, display)

    def _count(self, values: Mapping[str, float]) -> None:
        """Count one step. Raises _DivergingError where too many, or the last one, were not finite."""
        counters = self.state.counters
        counters.step += 1
        broken = [name for name, value in values.items() if not math.isfinite(value)]
        if not broken:
            counters.in_a_row = 0
            counters.add(values)
            return
        counters.skipped += 1
        counters.in_a_row += 1
        _log.warning(
            "step %d skipped, not finite: %s (%d skipped so far)",
            counters.step, ", ".join(broken), counters.skipped,
        )  # fmt: skip
        if counters.in_a_row >= self.job.recipe.guard.patience:
            raise _DivergingError(f"{counters.in_a_row} steps in a row were not finite")
        if counters.skipped > _MOST_SKIPPED * self.job.steps:
            raise _DivergingError(f"more than {_MOST_SKIPPED:.0%} of all steps were not finite")
        if counters.step == self.job.steps:
            raise _DivergingError("the last step was not finite")

    def _after_step(self, metrics: MetricsWriter, display: ProgressDisplay) -> None:
        """Metrics and validation come before the checkpoint: once resumed, it writes again what is beyond it.

        There is none while steps are being skipped: going back to it would not help.
        """
        job, step, spent = self.job, self.state.counters.step, self.state.spent
        last = step == job.steps
        spent.steps += self.laps()
        line: dict[str, float] = {}
        if step % job.config.log_every == 0 or last:
            line |= self._metrics()
        losses = "  ".join(
            f"{name} {value:.4g}"
            for name, value in line.items()
            if name.endswith(_SHOWN) or name.startswith(PLACE_OF_RANDOM)
        )
        display.update(
            step,
            detail=self._pace(),
            line=losses if line else None,
        )
        if self._validates(last=last):
            line |= self._validate()
            spent.add_validation(self.laps())
        if line:
            metrics.write(step, line | spent.figures())
        if step % job.config.checkpoint.every == 0 or last:
            if broken := self.state.broken():
                raise _DivergingError(f"{broken} is not finite after step {step}")
            if not self.state.counters.in_a_row:
                self._save()
                spent.checkpoints += self.laps()
        self.rate.restart()

    def _metrics(self) -> dict[str, float]:
        counters, batch = self.state.counters, self.job.recipe.batch
        return {
            "images": counters.step * batch,
            "learning_rate": self.updater.learning_rate(counters.step - 1),
            **counters.take_means(),
            **(self.state.weighting.weights() if self.state.weighting else {}),
            "skipped": counters.skipped,
            "images_per_second": round(self.rate.per_second * batch, 1),
            "data_wait": round(self.rate.data_wait, 3),
        }

    def _pace(self) -> str:
        """For a line; the time left holds as much validation as so far."""
        if not self.rate.per_second:
            return ""
        left = self.job.steps - self.state.counters.step
        seconds = left / self.rate.per_second * self.state.spent.overhead
        return self.rate.told(batch=self.job.recipe.batch, left=seconds) + self.deadline.told(seconds)

    def _validates(self, *, last: bool) -> bool:
        """Whether to validate now: at the end always, in between where the first process can afford it."""
        settings = self.job.config.validation
        if self.job.validate is None or last:
            return self.job.validate is not None
        if not settings.every or self.state.counters.step % settings.every:
            return False
        if settings.share is None:
            return True
        spent = self.state.spent
        affords: bool = self.fabric.broadcast(spent.affords_validation(settings.share))
        if not affords and not self.puts_off:
            self.puts_off = True
            _log.info(
                "%s: validation, %s each time, comes less often, to take at most %.3g%% of the time",
                self.job.title, duration(spent.last_validation), 100 * settings.share,
            )  # fmt: skip
        return affords

    def _is_time_up(self) -> bool:
        """As the first process has it, for the others never; what is being skipped could not be kept."""
        return self.fabric.is_global_zero and self.deadline.left <= 0 and not self.state.counters.in_a_row

    def _validate(self) -> dict[str, float]:
        assert self.job.validate is not None
        scores = dict(self.job.validate(self._averaged()))
        if self.fabric.is_global_zero:
            shown = "  ".join(f"{name} {value:.3f}" for name, value in scores.items())
            _log.info("%s: validation after step %d: %s", self.job.title, self.state.counters.step, shown)
        self.fabric.barrier()
        return scores

    def _roll_back(self, reason: str) -> None:
        """Go on from the last checkpoint at a lower rate. Raises UserError after too many times."""
        guard, former = self.job.recipe.guard, self.state.counters
        if former.rollbacks >= guard.rollbacks:
            raise UserError(
                f"training diverges: {reason}; {former.skipped} of the first {former.step} steps of "
                f"{self.job.steps} were skipped, after {former.rollbacks} roll-backs to ever lower rates. "
                "Look at the data, and start a new run with a lower optimizer.lr or clip_norm"
            )
        checkpoint = self._latest()
        assert checkpoint is not None, "a training writes its first checkpoint before its first step"
        self.state.restore(checkpoint)
        self._require_finite(f"{self.store.folder}: the newest checkpoint holds broken weights")
        # What was skipped after the checkpoint is taken anew, and counted anew.
        counters = self.state.counters
        counters.rate = former.rate * guard.rate
        counters.rollbacks = former.rollbacks + 1
        _log.warning("%s: back to step %d at %g of the learning rate", reason, counters.step, counters.rate)
        self._save()

    def _stop(self, asked: int) -> None:
        """Save and end. What asked for it is a signal, or time."""
        counters, steps = self.state.counters, self.job.steps
        broken = self.state.broken()
        if broken or counters.in_a_row:
            why = f"{broken} is not finite" if broken else f"the last {counters.in_a_row} were skipped"
            _log.warning(
                "stopped after step %d of %d, not saved: %s; the same command goes on from the checkpoint "
                "before",
                counters.step, steps, why,
            )  # fmt: skip
        else:
            self._save()
            _log.info(
                "%sstopped after step %d of %d; the same command goes on from there",
                "time is up: " if asked == TIME_UP else "", counters.step, steps,
            )  # fmt: skip
        if asked == TIME_UP:
            raise Paused(f"{self.job.title}: after step {counters.step} of {steps}")
        raise Interruption(asked)

    def _save(self) -> None:
        if self.fabric.is_global_zero:
            self.store.save(self.state.checkpoint())
        self.fabric.barrier()

    def _tell_length(self) -> None:
        left = self.job.steps - self.state.counters.step
        seconds = left / self.rate.per_second
        _log.info(
            "%s: about %s for %d steps more at %.0f images/s (validation comes on top)%s; peak so far: %s",
            self.job.title, duration(seconds), left, self.rate.per_second * self.job.recipe.batch,
            self.deadline.told(seconds), memory_so_far(self.fabric.device),
        )  # fmt: skip

    def _averaged(self) -> PoseNet:
        net = self.state.ema.module
        assert isinstance(net, PoseNet)
        return net

    def _require_finite(self, otherwise: str) -> None:
        if broken := self.state.broken():
            raise UserError(f"{otherwise} ({broken})")

    def _tell_skipped(self) -> None:
        counters = self.state.counters
        if counters.skipped or counters.rollbacks:
            _log.warning(
                "%s: %d of %d steps were skipped because something was not finite; %d roll-backs, "
                "learning rate at %g",
                self.job.title, counters.skipped, self.job.steps, counters.rollbacks, counters.rate,
            )  # fmt: skip
