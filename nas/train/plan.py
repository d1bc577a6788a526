"""What each step trains, as a function of (seed, step) alone."""

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Literal, Protocol

import numpy as np

from nas.arrays import Ints
from nas.data import SampleRequest, TargetHead
from nas.runs.streams import ARCHS, generator
from nas.space import Arch, ArchManager, SearchSpace
from nas.train.pool import ArchPool, Setting, setting_of

Role = Literal["largest", "smallest", "random", "alone"]


@dataclass(frozen=True)
class Trainee:
    """A body that a step trains, with the heads that it feeds.

    Args:
        role: the largest teaches the others; one that is trained without any is alone.
        archs: a network for each head, which differ in neck and head only.
    """

    role: Role
    archs: tuple[Arch, ...]


@dataclass(frozen=True)
class StepPlan:
    """One step, the same on all processes.

    Args:
        step: number of the step (0-based).
        seed: of the run.
        indices: samples of the training set, over all processes.
        trainees: what to train, of the same settings; the largest, where it is one of them, is the first and
            teaches the others.
        late: whether the samples are augmented as those of the last part of training.
    """

    step: int
    seed: int
    indices: tuple[int, ...]
    trainees: tuple[Trainee, ...]
    late: bool = False

    @property
    def archs(self) -> tuple[Arch, ...]:
        """All networks that are trained."""
        return tuple(arch for trainee in self.trainees for arch in trainee.archs)

    @property
    def settings(self) -> tuple[Setting, ...]:
        """For each head what its networks share; all are of one resolution."""
        return tuple(map(setting_of, self.trainees[0].archs))

    @cached_property
    def digest(self) -> int:
        """63 bits that change with any sample or network of the plan."""
        values = [self.step, self.seed, self.indices, [arch.id for arch in self.archs], self.late]
        return int.from_bytes(hashlib.sha256(json.dumps(values).encode()).digest()[:8], "big") >> 1

    def requests(self, part: int, parts: int) -> list[SampleRequest]:
        """The samples of one of so many equal parts, augmented by (seed, step, position in the batch)."""
        arch, *others = self.trainees[0].archs
        beside = tuple(TargetHead(other.head, other.level_strides) for other in others)
        size = len(self.indices) // parts
        return [
            SampleRequest(
                self.indices[position],
                (self.seed, self.step, position),
                arch.resolution,
                arch.head,
                strides=arch.level_strides,
                late=self.late,
                beside=beside,
            )
            for position in range(part * size, (part + 1) * size)
        ]


class Draw(Protocol):
    """Draws what a step trains: networks of the same settings, a teacher first."""

    def __call__(self, rng: np.random.Generator, step: int) -> tuple[Trainee, ...]: ...


class Order(Protocol):
    """An endless stream of training samples."""

    def indices(self, start: int, count: int, *, seed: int) -> Ints:
        """The samples at positions start, start + 1, ..."""
        ...


class Planner:
    """Draws plans.

    Args:
        seed: of the run.
        order: the training samples.
        batch: samples per step, over all processes.
        draw: the networks of a step.
        late_from: the first step of the last part of training, which is augmented in another way; None for
            no such part.
    """

    def __init__(
        self, *, seed: int, order: Order, batch: int, draw: Draw, late_from: int | None = None
    ) -> None:
        self._seed = seed
        self._order = order
        self._batch = batch
        self._draw = draw
        self._late_from = late_from

    def __call__(self, step: int) -> StepPlan:
        """The plan of a step (0-based)."""
        indices = self._order.indices(step * self._batch, self._batch, seed=self._seed)
        trainees = self._draw(generator(self._seed, ARCHS, step), step)
        late = self._late_from is not None and step >= self._late_from
        return StepPlan(step, self._seed, tuple(indices.tolist()), trainees, late=late)


class SandwichDraw:
    """The largest, the smallest and `random` further networks of one setting.

    The first random network is drawn over the whole space and fixes the setting; a repeated network is
    trained once. Without a pool, networks are drawn uniformly over choices.

    With all heads, that network fixes the resolution and the setting of its own head. Neck and options of
    every other head are drawn uniformly for the step, what is elastic in a neck for each random body; heads
    on a neck of one type share it.

    Args:
        random: how many random networks.
        largest_first: so many steps train the largest alone.
        smallest_every: of so many steps one trains the smallest.
        largest_every: of so many steps one trains the largest.
        all_heads: whether every body feeds all heads of the space.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        random: int,
        pool: ArchPool | None,
        largest_first: int = 0,
        smallest_every: int = 1,
        largest_every: int = 1,
        all_heads: bool = False,
    ) -> None:
        self._space = space
        self._random = random
        self._pool = pool
        self._largest_first = largest_first
        self._smallest_every = smallest_every
        self._largest_every = largest_every
        self._all_heads = all_heads
        self._ends_of = lru_cache(maxsize=None)(self._both_ends)

    def __call__(self, rng: np.random.Generator, step: int) -> tuple[Trainee, ...]:
        """Largest and smallest where their turn has come, then the random ones."""
        first = self._sample(rng)
        settings = self._settings(first, rng)
        largest, smallest = zip(*map(self._ends_of, settings), strict=True)
        if step < self._largest_first:
            return (Trainee("largest", largest),)
        further = [self._sample(rng, setting_of(first)) for _ in range(self._random - 1)]
        trainees = []
        if step % self._largest_every == 0:
            trainees.append(Trainee("largest", largest))
        if step % self._smallest_every == 0:
            trainees.append(Trainee("smallest", smallest))
        for arch in [first, *further][: self._random]:
            trainees.append(Trainee("random", self._with_heads(arch, settings, rng)))
        unique: dict[tuple[Arch, ...], Trainee] = {}
        for trainee in trainees:
            unique.setdefault(trainee.archs, trainee)
        return tuple(unique.values())

    def _settings(self, first: Arch, rng: np.random.Generator) -> tuple[Setting, ...]:
        """One for each head to train."""
        own, manager = setting_of(first), ArchManager(self._space)
        if not self._all_heads:
            return (own,)
        return tuple(
            own
            if head == own.head.type
            else setting_of(manager.sample(rng, head=head, resolution=own.resolution))
            for head in self._space.heads
        )

    def _with_heads(
        self, arch: Arch, settings: tuple[Setting, ...], rng: np.random.Generator
    ) -> tuple[Arch, ...]:
        """The body of a network under the heads of these settings."""
        necks = {arch.neck.type: arch.neck}
        for setting in settings:
            if setting.neck not in necks:
                necks[setting.neck] = setting.sample(self._space, rng).neck
        return tuple(replace(arch, neck=necks[setting.neck], head=setting.head) for setting in settings)

    def _sample(self, rng: np.random.Generator, setting: Setting | None = None) -> Arch:
        if self._pool is not None:
            return self._pool.sample(rng, setting)
        if setting is None:
            return ArchManager(self._space).sample(rng)
        return setting.sample(self._space, rng)

    def _both_ends(self, setting: Setting) -> tuple[Arch, Arch]:
        return setting.largest(self._space), setting.smallest(self._space)


class SingleDraw:
    """Always the same network."""

    def __init__(self, arch: Arch) -> None:
        self._trainees = (Trainee("alone", (arch,)),)

    def __call__(self, rng: np.random.Generator, step: int) -> tuple[Trainee, ...]:
        """The network alone; the generator is left untouched."""
        return self._trainees
