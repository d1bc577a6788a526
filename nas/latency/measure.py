"""Measuring: networks of a space into a table, and given networks side by side."""

import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nas.latency.channel_block import detect_channel_block
from nas.latency.device import Pinning, describe_device, pinned
from nas.latency.drawing import draw_archs
from nas.latency.features import OperatorFeatures, network_features
from nas.latency.load import LoadGate
from nas.latency.networks import arch_network
from nas.latency.protocol import Network, Protocol, SessionVisitor, Step, Visit, visit_interleaved
from nas.latency.table import LatencyTable, Source
from nas.latency.timing import Timing
from nas.space.arch import Arch
from nas.space.skeleton import Skeleton
from nas.space.space import SearchSpace

if TYPE_CHECKING:
    from nas.graph import Tracer

# Rough, for telling beforehand how long it will take: of whole networks, and of making a session.
_MACS_PER_SECOND = 60e9
_SECONDS_PER_VISIT = 0.25


@dataclass(frozen=True)
class Plan:
    """What is about to be measured.

    Args:
        visits: that are still to be made.
        seconds: about how long they will take on an idle machine; None where no MACs are known.
        uncontrolled: what of this machine cannot be controlled.
    """

    visits: int
    seconds: float | None
    uncontrolled: tuple[str, ...]


class Progress(typing.Protocol):
    """Told how measuring goes."""

    def begin(self, plan: Plan) -> None:
        """Before the first visit."""

    def step(self, step: Step) -> None:
        """After every visit, taken or discarded."""


class Silent:
    """Progress that nobody looks at."""

    def begin(self, plan: Plan) -> None:
        """Nothing is shown."""

    def step(self, step: Step) -> None:
        """Nothing is shown."""


def measure_space(
    space: SearchSpace,
    skeleton: Skeleton,
    *,
    samples: int,
    table: Path,
    threads: int = 1,
    seed: int = 0,
    protocol: Protocol | None = None,
    progress: Progress | None = None,
) -> list[Timing]:
    """Time networks drawn from a space into a table.

    Draws are spread over MACs and include the smallest and the largest network; the same space, skeleton,
    samples and seed give the same draws, so that a second call makes up what an interrupted one left.

    Args:
        table: JSON lines; continued where it exists.
        threads: of onnxruntime.

    Returns:
        The timings of the networks drawn.

    Raises:
        UserError: the table is of another device or protocol.
    """
    from nas.graph import Tracer

    tracer = Tracer(space, skeleton)
    block = detect_channel_block()
    rng = np.random.default_rng(seed)
    archs = draw_archs(space, _describer(tracer, block), samples=samples, rng=rng)
    networks = [arch_network(arch, tracer) for arch in archs]
    return measure_networks(
        networks,
        table=table,
        threads=threads,
        rng=rng,
        channel_block=block,
        source=Source(space.to_json(), skeleton.to_json()),
        protocol=protocol or Protocol(),
        progress=progress or Silent(),
    )


def measure_networks(
    networks: Sequence[Network],
    *,
    table: Path,
    source: Source,
    channel_block: int,
    threads: int,
    rng: np.random.Generator,
    protocol: Protocol,
    progress: Progress,
) -> list[Timing]:
    """Time given networks into a table; visits that it holds are not made again. See `measure_space`."""
    device = describe_device(threads=threads)
    with LatencyTable.open(table, device=device, protocol=protocol, channel_block=channel_block) as rows:
        rows.add_source(source)
        steps = visit_networks(
            networks, threads=threads, rng=rng, protocol=protocol, progress=progress, done=rows.visits
        )
        for step in steps:
            rows.add(step.network, step.visit)
        return [rows.timing(network.key) for network in networks]


def time_networks(
    networks: Sequence[Network],
    *,
    threads: int = 1,
    seed: int = 0,
    protocol: Protocol | None = None,
    progress: Progress | None = None,
) -> list[Timing]:
    """Time given networks side by side, interleaved; see `nas.latency.networks` for what may be given."""
    visits: dict[str, list[Visit]] = {network.key: [] for network in networks}
    steps = visit_networks(
        list({network.key: network for network in networks}.values()),
        threads=threads,
        rng=np.random.default_rng(seed),
        protocol=protocol or Protocol(),
        progress=progress or Silent(),
        done={},
    )
    for step in steps:
        visits[step.network.key].append(step.visit)
    return [
        Timing(network.key, network.name, dict(network.description), tuple(visits[network.key]))
        for network in networks
    ]


def visit_networks(
    networks: Sequence[Network],
    *,
    threads: int,
    rng: np.random.Generator,
    protocol: Protocol,
    progress: Progress,
    done: Mapping[str, int],
) -> Iterator[Step]:
    """Make the visits that are missing (`done`: by key) on pinned cores; gives those that are taken."""
    with pinned(threads) as pinning:
        gate = LoadGate(pinning.cores)
        progress.begin(_plan(networks, protocol, done, pinning, gate))
        visitor = SessionVisitor(protocol, threads=threads, rng=rng)
        for step in visit_interleaved(
            networks, protocol=protocol, visitor=visitor, gate=gate, rng=rng, done=done
        ):
            progress.step(step)
            if not step.discarded:
                yield step


def _plan(
    networks: Sequence[Network], protocol: Protocol, done: Mapping[str, int], pinning: Pinning, gate: LoadGate
) -> Plan:
    missing = {network.key: max(0, protocol.visits - done.get(network.key, 0)) for network in networks}
    load = () if gate.watching else ("foreign load (this system does not tell it)",)
    return Plan(sum(missing.values()), _seconds(networks, missing, protocol), (*pinning.uncontrolled, *load))


def _seconds(networks: Sequence[Network], missing: Mapping[str, int], protocol: Protocol) -> float | None:
    # Once without the profiler, once with it.
    runs = 2 * (protocol.warmups + protocol.runs)
    total = 0.0
    for network in networks:
        macs = dict(network.description).get("macs")
        if macs is None:
            return None
        total += missing[network.key] * (_SECONDS_PER_VISIT + runs * macs / _MACS_PER_SECOND)
    return total


def _describer(tracer: "Tracer", channel_block: int) -> Callable[[Arch], tuple[int, frozenset[str]]]:
    extract = OperatorFeatures(channel_block)

    def describe(arch: Arch) -> tuple[int, frozenset[str]]:
        graph = tracer(arch)
        return graph.macs, frozenset(network_features(graph, extract))

    return describe
