"""Measuring networks on this machine during a search, into the run's latency table where that is wanted."""

import json
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas.errors import UserError
from nas.files import write_json
from nas.graph import Tracer
from nas.latency import LatencyPredictor, Precision, arch_network
from nas.latency.samples import TracerOfSpaces
from nas.space import Arch, SearchSpace
from nas.timing import (
    LatencyTable,
    Network,
    Protocol,
    Timing,
    TimingProgress,
    Visit,
    describe_device,
    time_networks,
    visit_networks,
)
from nas.timing.loop import NoProgress
from nas.timing.memory import MeasuredFootprint, measure_footprint
from nas.timing.table import Source

_log = logging.getLogger(__name__)

TimingDisplay = Callable[[], AbstractContextManager[TimingProgress | None]]


@dataclass(frozen=True)
class Bench:
    """Times networks side by side, interleaved.

    Args:
        space, tracer: of the architectures.
        threads, protocol, precision: of the predictor.
        seed: of the order of visits.
        table: an existing latency table that visits are appended to; visits that it holds are not made again.
            None keeps nothing.
        display: how progress is told.
    """

    space: SearchSpace
    tracer: Tracer | TracerOfSpaces
    threads: int
    protocol: Protocol
    precision: Precision = "fp32"
    seed: int = 0
    table: Path | None = None
    display: TimingDisplay = nullcontext

    def __call__(self, archs: Sequence[Arch], *, alongside: Sequence[Network] = ()) -> list[Timing]:
        """Timings of architectures, then of networks that are timed among them but never enter the table.

        Raises:
            UserError: the table is of another device or protocol, or another process is writing it.
        """
        networks = [self.network(arch) for arch in archs]
        with self.display() as progress:
            if self.table is not None:
                return self._time_into(self.table, networks, alongside, progress or NoProgress())
            return time_networks(
                [*networks, *alongside],
                threads=self.threads,
                seed=self.seed,
                protocol=self.protocol,
                progress=progress,
            )

    def unmeasured(self, archs: Sequence[Arch]) -> list[Arch]:
        """Those that the table does not hold all visits of."""
        if self.table is None:
            return list(archs)
        visits = LatencyTable.read(self.table).visits
        return [arch for arch in archs if visits.get(self.network(arch).key, 0) < self.protocol.visits]

    def footprints(self, archs: Sequence[Arch]) -> list[MeasuredFootprint]:
        """Size of the file and peak of memory of each; those that the table holds are not measured again."""
        networks = [self.network(arch) for arch in archs]
        if self.table is None:
            return [measure_footprint(network.model(), threads=self.threads) for network in networks]
        with self._open(self.table) as rows:
            for network in networks:
                if network.key not in rows.footprints:
                    measured = measure_footprint(network.model(), threads=self.threads)
                    rows.add_footprint(network.key, measured)
            return [rows.footprints[network.key] for network in networks]

    def network(self, arch: Arch) -> Network:
        """An architecture as it is timed."""
        return arch_network(arch, self.tracer, precision=self.precision)

    def _time_into(
        self, table: Path, networks: Sequence[Network], alongside: Sequence[Network], progress: TimingProgress
    ) -> list[Timing]:
        keys = {network.key for network in networks}
        aside: dict[str, list[Visit]] = {network.key: [] for network in alongside}
        with self._open(table) as rows:
            rows.add_source(Source(self.space.to_json(), self.tracer.skeleton.to_json()))
            outcomes = visit_networks(
                [*networks, *alongside],
                threads=self.threads,
                rng=np.random.default_rng(self.seed),
                protocol=self.protocol,
                progress=progress,
                done={key: count for key, count in rows.visits.items() if key in keys},
            )
            for outcome in outcomes:
                if outcome.network.key in keys:
                    rows.add(outcome.network, outcome.visit)
                else:
                    aside[outcome.network.key].append(outcome.visit)
            timings = [rows.timing(network.key) for network in networks]
        others = [Timing(n.key, n.name, dict(n.description), tuple(aside[n.key])) for n in alongside]
        return [*timings, *others]

    def _open(self, table: Path) -> LatencyTable:
        return LatencyTable.open(
            table,
            device=describe_device(threads=self.threads),
            protocol=self.protocol,
            channel_block=LatencyTable.read(table).channel_block,
        )


def time_detector(detector: Network, bench: Bench, *, file: Path) -> float:
    """The ms of a person detector here; kept in `file`, so that a resumed search has the same figure."""
    facts = {
        "model": detector.key,
        "device": describe_device(threads=bench.threads).fingerprint,
        "protocol": bench.protocol.fingerprint,
    }
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    if {name: known.get(name) for name in facts} == facts:
        if known.get("loaded"):
            _log.warning("%s: the detector was timed under load; remove the file to time it again", file)
        return float(known["detector_ms"])
    (timing,) = bench([], alongside=[detector])
    write_json(
        file, {**facts, "name": detector.name, "detector_ms": paid_ms(timing), "loaded": timing.loaded}
    )
    return paid_ms(timing)


def paid_ms(timing: Timing) -> float:
    """Of one run: network with decode, and what is left to do outside the graph."""
    return timing.measured_ms + timing.outside_ms


def fitted_networks(table: Path | None, predictor: LatencyPredictor) -> set[str]:
    """Ids of the architectures that a predictor was fitted with."""
    timings = fitted_timings(table, predictor)
    return {Arch.from_json(timing.description["arch"]).id for timing in timings}


def fitted_timings(table: Path | None, predictor: LatencyPredictor) -> list[Timing]:
    """The timings that a predictor was fitted with: the first ones of its table, since tables only grow."""
    if table is None:
        return []
    try:
        known = LatencyTable.read(table)
    except UserError:
        return []
    if known.fingerprint != f"{predictor.device.fingerprint}-{predictor.protocol.fingerprint}":
        return []
    wanted = (predictor.skeleton.name, predictor.precision)
    mine = [
        timing
        for timing in known.timings()
        if (timing.description.get("skeleton"), timing.description.get("precision", "fp32")) == wanted
        and not timing.description.get("check")
    ]
    return mine[: predictor.validation.networks]
