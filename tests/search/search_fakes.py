"""A cost, an accuracy and an evaluator that need no network."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import optuna

from nas.arrays import Floats
from nas.search.record import Claim, SearchRecord
from nas.search.samplers import ArchSampler, NothingLeftError
from nas.search.samplers.base import Known
from nas.search.values import Evaluation, Scores
from nas.space import Arch, SearchSpace
from nas.timing import Timing, Visit
from nas.timing.profile import OperatorTime


def fake_cost(arch: Arch) -> float:
    """Pretended ms: pixels times channels; an expensive up-sampler costs more than it seems to."""
    area = arch.resolution[0] * arch.resolution[1] / (128 * 96)
    blocks = sum(
        stage.width * block.expansion * (1 + block.kernel / 10)
        for stage in arch.stages
        for block in stage.blocks
    )
    return area * (arch.stem.width / 20 + blocks / 300 + sum(arch.neck.widths) / 100)


def fake_costs(archs: Sequence[Arch]) -> Floats:
    """The same of several."""
    return np.array([fake_cost(arch) for arch in archs])


def fake_accuracy(arch: Arch) -> float:
    """Pretended AP that grows with size, unlike cost in what it likes."""
    depth = sum(np.log1p(stage.depth) * (index + 1) for index, stage in enumerate(arch.stages))
    width = sum(np.log(stage.width) for stage in arch.stages)
    kernel = np.mean([block.kernel for stage in arch.stages for block in stage.blocks])
    return float(np.log(arch.resolution[0]) + depth / 4 + width / 4 + kernel / 10) / 10


def search_in_memory(
    sampler: ArchSampler,
    trials: int,
    *,
    accuracy: Callable[[Arch], float] = fake_accuracy,
    study: optuna.Study | None = None,
) -> list[Arch]:
    """The networks that a sampler draws in an ordinary study of Optuna's, which is asked and told."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = study or optuna.create_study(directions=["maximize", "minimize"])
    study.sampler = sampler
    drawn = []
    for _ in range(trials):
        trial = study.ask(dict(sampler.distributions))
        arch = sampler.arch(trial.params)
        study.tell(trial, [accuracy(arch), fake_cost(arch)])
        drawn.append(arch)
    return drawn


class GivenNetworks(ArchSampler):
    """Draws these networks, one after the other; before each draw it does what it is told."""

    name = "given"

    def __init__(
        self, space: SearchSpace, archs: Sequence[Arch], meanwhile: Callable[[], object] = lambda: None
    ) -> None:
        super().__init__(space, fake_costs, budgets_ms=[9e9], seed=0)
        self._given = archs
        self._meanwhile = meanwhile

    def _propose(self, known: Known, rng: np.random.Generator) -> Arch:
        left = [arch for arch in self._given if arch not in known.taken]
        self._meanwhile()
        if not left:
            raise NothingLeftError("all are drawn")
        return left[0]


def claim_one(record: SearchRecord, arch: Arch, *, budgets_ms: Sequence[float] = (9e9,)) -> Claim:
    """A claim of a record on this network."""
    claim = record.claim(GivenNetworks(record._space, [arch]), budgets_ms=budgets_ms, most=1000)
    assert claim is not None
    return claim


def score_one(
    record: SearchRecord, arch: Arch, accuracy: float, *, budgets_ms: Sequence[float] = (9e9,)
) -> Evaluation:
    """Have a record hold that this network scored so much."""
    told = record.tell(claim_one(record, arch, budgets_ms=budgets_ms), {"AP": accuracy, "AP50": 2 * accuracy})
    assert told is not None
    return told


@dataclass
class FakeEvaluator:
    """Counts how often it is asked."""

    key: str = "k"
    asked: list[Arch] = field(default_factory=list)
    fail_after: int | None = None

    def __call__(self, arch: Arch) -> Scores:
        if self.fail_after is not None and len(self.asked) >= self.fail_after:
            raise KeyboardInterrupt
        self.asked.append(arch)
        return {"AP": fake_accuracy(arch), "AP50": min(1.0, 2 * fake_accuracy(arch))}


@dataclass
class FakePredictor:
    """Pretended predictions: the fake cost times `scale`; of deep networks less is known."""

    scale: float = 1.0

    def predict_ms(self, arch: Arch, *, tracer: object = None) -> float:
        return self.scale * fake_cost(arch)

    def interval_ms(self, archs: Sequence[Arch], *, coverage: float, tracer: object = None) -> Floats:
        assert coverage == 0.9
        half = np.array([0.01 * sum(stage.depth for stage in arch.stages) for arch in archs])
        return (
            self.scale
            * np.array([fake_cost(arch) for arch in archs])[:, None]
            * np.stack([1 - half, 1 + half], 1)
        )

    def total_ms(
        self, archs: Sequence[Arch], *, people: int, detector_ms: float, tracer: object = None
    ) -> Floats:
        return detector_ms + people * np.array([self.predict_ms(arch) for arch in archs])

    def save(self, path: Path) -> None:
        path.write_text(json.dumps({"scale": self.scale}))

    @classmethod
    def load(cls, path: Path) -> "FakePredictor":
        return cls(**json.loads(path.read_text()))


@dataclass
class FakeBench:
    """Measures `scale` times the fake cost, and keeps in a file what it has measured."""

    file: Path
    scale: float = 1.25
    fail_after: int | None = None

    def __call__(self, archs: Sequence[Arch]) -> list[Timing]:
        for arch in archs:
            if arch.id in self.measured():
                continue
            if self.fail_after is not None and len(self.measured()) >= self.fail_after:
                raise KeyboardInterrupt
            with self.file.open("a") as file:
                file.write(arch.id + "\n")
        return [_timing(arch, self.scale * fake_cost(arch)) for arch in archs]

    def measured(self) -> list[str]:
        return self.file.read_text().split() if self.file.is_file() else []

    def unmeasured(self, archs: Sequence[Arch]) -> list[Arch]:
        return [arch for arch in archs if arch.id not in self.measured()]


def _timing(arch: Arch, ms: float) -> Timing:
    operators = (OperatorTime("op", "Conv", ms),)
    visit = Visit(operators, wall_ms=(ms,), cpu_ms=(ms,), outside_ms=0.0, date="2030-01-01T00:00:00+00:00")
    return Timing(arch.id, arch.id, {}, (visit,))
