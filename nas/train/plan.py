"""What each step trains, as a function of (seed, step) alone."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from nas.data import SampleRequest
from nas.runs.streams import ARCHS, generator
from nas.space import Arch, ArchManager, SearchSpace
from nas.train.pool import ArchPool, Setting, setting_of

Role = Literal["largest", "smallest", "random", "alone"]


@dataclass(frozen=True)
class Trainee:
    """A network that a step trains.

    Args:
        role: the largest teaches the others; a network that is trained without any is alone.
    """

    role: Role
    arch: Arch


@dataclass(frozen=True)
class StepPlan:
    """One step, the same on all processes.

    Args:
        step: number of the step (0-based).
        seed: of the run.
        indices: samples of the training set, over all processes.
        trainees: the networks to train, of one setting; the first is the teacher of the others.
        late: whether the samples are augmented as those of the last part of training.
    """

    step: int
    seed: int
    indices: tuple[int, ...]
    trainees: tuple[Trainee, ...]
    late: bool = False

    @property
    def archs(self) -> tuple[Arch, ...]:
        """The networks to train."""
        return tuple(trainee.arch for trainee in self.trainees)

    @property
    def setting(self) -> Setting:
        """What all networks of the step share."""
        return setting_of(self.trainees[0].arch)

    @cached_property
    def digest(self) -> int:
        """63 bits that change with any sample or network of the plan."""
        values = [self.step, self.seed, self.indices, [arch.id for arch in self.archs], self.late]
        return int.from_bytes(hashlib.sha256(json.dumps(values).encode()).digest()[:8], "big") >> 1

    def requests(self, part: int, parts: int) -> list[SampleRequest]:
        """The samples of one of so many equal parts, augmented by (seed, step, position in the batch)."""
        arch = self.trainees[0].arch
        size = len(self.indices) // parts
        return [
            SampleRequest(
                self.indices[position],
                (self.seed, self.step, position),
                arch.resolution,
                arch.head,
                strides=arch.level_strides,
                late=self.late,
            )
            for position in range(part * size, (part + 1) * size)
        ]


class Draw(Protocol):
    """Draws the networks of a step: their setting, and the networks, teacher first."""

    def __call__(self, rng: np.random.Generator, step: int) -> tuple[Trainee, ...]: ...


class Order(Protocol):
    """An endless stream of training samples."""

    def indices(self, start: int, count: int, *, seed: int) -> NDArray[np.int64]:
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

    Args:
        random: how many random networks.
        largest_first: so many steps train the largest alone.
        smallest_every: of so many steps one trains the smallest.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        random: int,
        pool: ArchPool | None,
        largest_first: int = 0,
        smallest_every: int = 1,
    ) -> None:
        self._space = space
        self._random = random
        self._pool = pool
        self._largest_first = largest_first
        self._smallest_every = smallest_every
        self._ends = lru_cache(maxsize=None)(self._both_ends)

    def __call__(self, rng: np.random.Generator, step: int) -> tuple[Trainee, ...]:
        """Largest, smallest where its turn has come, then the random ones."""
        first = self._sample(rng)
        setting = setting_of(first)
        largest, smallest = self._ends(setting)
        if step < self._largest_first:
            return (largest,)
        further = [self._sample(rng, setting) for _ in range(self._random - 1)]
        trainees = [largest] if step % self._smallest_every else [largest, smallest]
        trainees += [Trainee("random", arch) for arch in [first, *further][: self._random]]
        unique: dict[Arch, Trainee] = {}
        for trainee in trainees:
            unique.setdefault(trainee.arch, trainee)
        return tuple(unique.values())

    def _sample(self, rng: np.random.Generator, setting: Setting | None = None) -> Arch:
        if self._pool is not None:
            return self._pool.sample(rng, setting)
        if setting is None:
            return ArchManager(self._space).sample(rng)
        return setting.sample(self._space, rng)

    def _both_ends(self, setting: Setting) -> tuple[Trainee, Trainee]:
        ends = setting.largest(self._space), setting.smallest(self._space)
        return Trainee("largest", ends[0]), Trainee("smallest", ends[1])


class SingleDraw:
    """Always the same network."""

    def __init__(self, arch: Arch) -> None:
        self._trainees = (Trainee("alone", arch),)

    def __call__(self, rng: np.random.Generator, step: int) -> tuple[Trainee, ...]:
        """The network alone; the generator is left untouched."""
        return self._trainees
