"""The measuring loop: networks into a table or side by side. Runs as it is on a pack's device too."""

import math
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nas.timing.device import Pinning, describe_device, pinned
from nas.timing.load import LoadGate
from nas.timing.memory import measure_footprint
from nas.timing.protocol import Network, Protocol, SessionVisitor, Visit, VisitOutcome, visit_interleaved
from nas.timing.table import LatencyTable, Source
from nas.timing.timing import Timing

# Rough, for telling beforehand how long it will take: of whole networks, and of making a session.
_MACS_PER_SECOND = 60e9
_SECONDS_PER_VISIT = 0.25


@dataclass(frozen=True)
class VisitPlan:
    """What is about to be measured.

    Args:
        visits: that are still to be made.
        seconds: about how long they will take on an idle PC; None where no MACs are known.
        uncontrolled: what of this machine cannot be controlled.
    """

    visits: int
    seconds: float | None
    uncontrolled: tuple[str, ...]


class TimingProgress(typing.Protocol):
    """Told how measuring goes."""

    def begin(self, plan: VisitPlan) -> None:
        """Before the first visit."""

    def visited(self, outcome: VisitOutcome) -> None:
        """After every visit, taken or discarded."""


class NoProgress:
    """What nobody looks at."""

    def begin(self, plan: VisitPlan) -> None:
        """Nothing is shown."""

    def visited(self, outcome: VisitOutcome) -> None:
        """Nothing is shown."""


def measure_networks(
    networks: Sequence[Network],
    *,
    table: Path,
    sources: Sequence[Source],
    channel_block: int,
    threads: int,
    rng: np.random.Generator,
    protocol: Protocol,
    progress: TimingProgress,
    ungrouped: Collection[str] = (),
    memory: bool = False,
) -> list[Timing]:
    """Time given networks into a table; visits that it holds are not made again.

    Args:
        table: JSON lines; continued where it exists.
        sources: what the networks were drawn from.
        ungrouped: keys of networks whose grouping cannot be timed here; their `outside_ms` is not a number.
        memory: measure their footprints too, once for every network, in a process of its own.

    Raises:
        UserError: the table is of another device or protocol.
    """
    device = describe_device(threads=threads)
    with LatencyTable.open(table, device=device, protocol=protocol, channel_block=channel_block) as rows:
        for source in sources:
            rows.add_source(source)
        for outcome in visit_networks(
            networks,
            threads=threads,
            rng=rng,
            protocol=protocol,
            progress=progress,
            done=_done(networks, rows, ungrouped),
        ):
            network, visit = outcome.network, outcome.visit
            unknown = network.key in ungrouped
            rows.add(network, replace(visit, outside_ms=math.nan) if unknown else visit)
            if memory and network.key not in rows.footprints:
                rows.add_footprint(network.key, measure_footprint(network.model(), threads=threads))
        return [rows.timing(network.key) for network in networks]


def time_networks(
    networks: Sequence[Network],
    *,
    threads: int = 1,
    seed: int = 0,
    protocol: Protocol | None = None,
    progress: TimingProgress | None = None,
) -> list[Timing]:
    """Time given networks side by side, interleaved; see `nas.latency.networks` for what may be given."""
    visits: dict[str, list[Visit]] = {network.key: [] for network in networks}
    outcomes = visit_networks(
        list({network.key: network for network in networks}.values()),
        threads=threads,
        rng=np.random.default_rng(seed),
        protocol=protocol or Protocol(),
        progress=progress or NoProgress(),
        done={},
    )
    for outcome in outcomes:
        visits[outcome.network.key].append(outcome.visit)
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
    progress: TimingProgress,
    done: Mapping[str, int],
) -> Iterator[VisitOutcome]:
    """Make the visits that are missing (`done`: by key) on pinned cores; gives those that are taken."""
    with pinned(threads) as pinning:
        gate = LoadGate(pinning.cores)
        progress.begin(_plan(networks, protocol, done, pinning, gate))
        visitor = SessionVisitor(protocol, threads=threads, rng=rng)
        for outcome in visit_interleaved(
            networks, protocol=protocol, visitor=visitor, gate=gate, rng=rng, done=done
        ):
            progress.visited(outcome)
            if not outcome.discarded:
                yield outcome


def expected_seconds(
    networks: Sequence[Network], protocol: Protocol, done: Mapping[str, int]
) -> float | None:
    """About how long the visits that are missing take on an idle PC; None where no MACs are known."""
    # Once without the profiler, once with it.
    runs = 2 * (protocol.warmups + protocol.runs)
    total = 0.0
    for network in networks:
        macs = dict(network.description).get("macs")
        if macs is None:
            return None
        total += _missing(network, protocol, done) * (_SECONDS_PER_VISIT + runs * macs / _MACS_PER_SECOND)
    return total


def _done(networks: Sequence[Network], rows: LatencyTable, ungrouped: Collection[str]) -> dict[str, int]:
    """The visits that need not be made, by key. A grouping that can be timed only now needs one more."""
    done = rows.visits
    for network in networks:
        can_group = network.outside is not None and network.key not in ungrouped
        if can_group and done.get(network.key) and math.isnan(rows.timing(network.key).outside_ms):
            done[network.key] = min(done[network.key], rows.protocol.visits - 1)
    return done


def _plan(
    networks: Sequence[Network], protocol: Protocol, done: Mapping[str, int], pinning: Pinning, gate: LoadGate
) -> VisitPlan:
    load = () if gate.watching else ("foreign load (this system does not tell it)",)
    return VisitPlan(
        visits=sum(_missing(network, protocol, done) for network in networks),
        seconds=expected_seconds(networks, protocol, done),
        uncontrolled=(*pinning.uncontrolled, *load),
    )


def _missing(network: Network, protocol: Protocol, done: Mapping[str, int]) -> int:
    return max(0, protocol.visits - done.get(network.key, 0))
