"""How networks are timed: visits spread over time, operator minima, a gate against other load.

The label in ms (`measured_ms` everywhere) is how long a network takes undisturbed: the shorter of its
shortest whole run, which is timed without the profiler, and of the sum of every operator's minimum over all
visits, divided by `SUM_OVER_WALL`. Disturbance lengthens every run of a large network but never the same
operator of all runs; the profiler, which adds some 1.5 us to every operator, lengthens the sum of a small
one.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nas.digests import json_digest
from nas.documents import Fields
from nas.timing.load import LoadGate
from nas.timing.profile import OperatorTime, minima, parse_profile
from nas.timing.session import open_session, random_feed

# A run's operators add up to this share of its wall time; the rest is between the operators.
SUM_OVER_WALL = 0.97
LABEL = f"the shorter of: shortest run, sum of operator minima / {SUM_OVER_WALL}"

Shapes = Mapping[str, tuple[int, ...]]
Feed = Mapping[str, NDArray[Any]]
Outside = Callable[[Shapes], Callable[[], object]]


@dataclass(frozen=True)
class Protocol:
    """The figures of the protocol; timings of different figures do not share a table.

    Args:
        visits: per network, each a session of its own.
        warmups: runs of a new session that are not counted; at least one.
        runs: profiled runs of a visit, and as many without the profiler.
        max_foreign_load: visits during which others use a larger share of the processor are discarded.
        patience: visits of one network that are discarded before one is taken as it comes and flagged.
    """

    visits: int = 5
    warmups: int = 3
    runs: int = 10
    max_foreign_load: float = 0.10
    patience: int = 3

    @property
    def fingerprint(self) -> str:
        """The first 12 hex digits of the SHA-256 of the canonical JSON."""
        return json_digest(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {**asdict(self), "label": LABEL}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], place: str = "protocol") -> Self:
        """The inverse of `to_json`. Raises UserError `place.field: what is wrong`."""
        fields = Fields(values, place)
        fields.known((*cls().to_json(),))
        return cls(
            visits=fields.integer("visits", least=1),
            warmups=fields.integer("warmups", least=1),
            runs=fields.integer("runs", least=1),
            max_foreign_load=fields.number("max_foreign_load", least=0),
            patience=fields.integer("patience"),
        )

    def __str__(self) -> str:
        return (
            f"{self.visits} visits of {self.warmups} + {self.runs} runs, foreign load up to "
            f"{self.max_foreign_load:.0%}, patience {self.patience} (fingerprint {self.fingerprint})"
        )


@dataclass(frozen=True)
class Network:
    """A network to time.

    Args:
        key: unique in a table; equal keys are the same network.
        name: for people.
        model: gives the serialised ONNX model; called at every visit, so that only one lies in memory.
        outside: what a user pays outside the ONNX graph (grouping candidates into poses): takes the outputs'
            shapes (without the batch axis) and gives the work to time. None where nothing is left to do.
        description: what a table keeps of the network besides key and name (arch, skeleton, MACs ...).
    """

    key: str
    name: str
    model: Callable[[], bytes]
    outside: Outside | None = None
    description: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Visit:
    """What one visit to a network found.

    Args:
        operators: every operator's minimum over the visit's runs, in order of execution.
        wall_ms: whole runs, in order, without the profiler: it adds some microseconds to every operator.
        cpu_ms: processor time of the same runs (of the thread; of the process where several threads compute).
        outside_ms: minimum of the work outside the graph; not a number where it was not timed.
        date: UTC, ISO 8601.
        foreign_load: others' share of the processor; None where the system does not tell it.
        loaded: whether the visit was taken in spite of too much foreign load.
    """

    operators: tuple[OperatorTime, ...]
    wall_ms: tuple[float, ...]
    cpu_ms: tuple[float, ...]
    outside_ms: float
    date: str
    foreign_load: float | None = None
    loaded: bool = False

    @property
    def label_ms(self) -> float:
        """The label of this visit alone."""
        return undisturbed_ms(self.wall_ms, self.operators)


def undisturbed_ms(wall_ms: Sequence[float], operators: Sequence[OperatorTime]) -> float:
    """The label of whole runs and of the minima of their operators."""
    return min(*wall_ms, sum(operator.ms for operator in operators) / SUM_OVER_WALL)


@dataclass(frozen=True)
class VisitOutcome:
    """One visit of a measurement: taken, or discarded because others used the processor."""

    network: Network
    visit: Visit
    discarded: bool
    remaining: int


Visitor = Callable[[Network], Visit]


class SessionVisitor:
    """Visits networks with onnxruntime on this machine."""

    def __init__(self, protocol: Protocol, *, threads: int, rng: np.random.Generator) -> None:
        self._protocol = protocol
        self._threads = threads
        self._rng = rng

    def __call__(self, network: Network) -> Visit:
        """One visit. Raises UserError where onnxruntime cannot run the network."""
        model = network.model()
        session = open_session(model, threads=self._threads, name=network.name)
        feed = random_feed(session, self._rng, name=network.name)
        shapes = self._warm_up(session, feed)
        wall, cpu = self._time_runs(session, feed)
        del session
        operators = self._profile(model, feed, name=network.name)
        return Visit(
            operators=operators,
            wall_ms=wall,
            cpu_ms=cpu,
            outside_ms=self._time_outside(network.outside, shapes),
            date=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def _warm_up(self, session: Any, feed: Feed) -> Shapes:
        """Run without counting; gives the outputs' shapes without the batch axis."""
        outputs = [session.run(None, feed) for _ in range(self._protocol.warmups)][-1]
        named = zip(session.get_outputs(), outputs, strict=True)
        return {node.name: tuple(output.shape[1:]) for node, output in named}

    def _time_runs(self, session: Any, feed: Feed) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Wall and processor time (ms) of whole runs."""
        clock = time.thread_time_ns if self._threads == 1 else time.process_time_ns
        wall, cpu = [], []
        for _ in range(self._protocol.runs):
            cpu_start, wall_start = clock(), time.perf_counter_ns()
            session.run(None, feed)
            wall.append((time.perf_counter_ns() - wall_start) / 1e6)
            cpu.append((clock() - cpu_start) / 1e6)
        return tuple(wall), tuple(cpu)

    def _profile(self, model: bytes, feed: Feed, *, name: str) -> tuple[OperatorTime, ...]:
        with tempfile.TemporaryDirectory(prefix="nas-latency-") as folder:
            profile = Path(folder) / "profile"
            session = open_session(model, threads=self._threads, name=name, profile=profile)
            for _ in range(self._protocol.warmups + self._protocol.runs):
                session.run(None, feed)
            runs = parse_profile(Path(session.end_profiling()))
        return minima(runs[-self._protocol.runs :])

    def _time_outside(self, outside: Outside | None, shapes: Shapes) -> float:
        if outside is None:
            return 0.0
        work = outside(shapes)
        for _ in range(self._protocol.warmups):
            work()
        times = []
        for _ in range(self._protocol.runs):
            start = time.perf_counter_ns()
            work()
            times.append((time.perf_counter_ns() - start) / 1e6)
        return min(times)


def visit_interleaved(
    networks: Sequence[Network],
    *,
    protocol: Protocol,
    visitor: Visitor,
    gate: LoadGate,
    rng: np.random.Generator,
    done: Mapping[str, int] | None = None,
) -> Iterator[VisitOutcome]:
    """Visit every network `protocol.visits` times: round after round, each round in an order of its own.

    A visit under foreign load is discarded and made up for later, until `protocol.patience` visits of its
    network were; from then on that network's visits are taken and flagged.

    Args:
        networks: of different keys.
        visitor: makes one visit; see `SessionVisitor`.
        done: key -> number of visits that exist already.
    """
    queue = _rounds(networks, protocol.visits, done or {}, rng)
    discarded: Counter[str] = Counter()
    while queue:
        network = queue.pop(0)
        gate.mark()
        visit = visitor(network)
        foreign = gate.foreign()
        loaded = foreign is not None and foreign > protocol.max_foreign_load
        visit = replace(visit, foreign_load=foreign, loaded=loaded)
        discard = loaded and discarded[network.key] < protocol.patience
        if discard:
            discarded[network.key] += 1
            queue.insert(int(rng.integers(len(queue) + 1)), network)
        yield VisitOutcome(network, visit, discarded=discard, remaining=len(queue))


def _rounds(
    networks: Sequence[Network], visits: int, done: Mapping[str, int], rng: np.random.Generator
) -> list[Network]:
    queue: list[Network] = []
    for turn in range(visits):
        # A network whose visits are ahead rests in the first rounds, so that all end together.
        due = [network for network in networks if done.get(network.key, 0) <= turn]
        queue.extend(due[index] for index in rng.permutation(len(due)))
    return queue
