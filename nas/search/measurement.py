"""What a network takes on this machine."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from nas.latency import EndToEnd
from nas.latency.uncertainty import load_allowance
from nas.space import Arch
from nas.timing import Timing
from nas.timing.memory import MeasuredFootprint


@dataclass(frozen=True)
class Measurement:
    """What a network takes on this machine.

    Args:
        ms: end to end (decode, grouping, people, person detector); what budgets are held against.
        network_ms: of the network once, with decode, by the timing protocol.
        grouping_ms: of what is left to do after one run.
        median_ms, p95_ms: wall time of the network.
        loaded: whether others used the processor meanwhile.
        people, detector_ms: what the end-to-end time was put together with.
        total_p95_ms: as `ms`, of the network's 95th percentile.
        load_allowance: by how much that may have lengthened its time.
        file_bytes, peak_memory_bytes: of its ONNX file, and of loading and running it; None where that is
            not known.
    """

    ms: float
    network_ms: float
    grouping_ms: float
    median_ms: float
    p95_ms: float
    loaded: bool
    people: int = 1
    detector_ms: float = 0.0
    total_p95_ms: float | None = None
    load_allowance: float = 0.0
    file_bytes: int | None = None
    peak_memory_bytes: int | None = None

    @classmethod
    def of(cls, arch: Arch, timing: Timing, pays: EndToEnd, *, size: MeasuredFootprint | None = None) -> Self:
        """A timing as a part of what a user pays."""
        return cls(
            ms=pays.total_ms(arch, network_ms=timing.measured_ms, grouping_ms=timing.outside_ms),
            network_ms=timing.measured_ms,
            grouping_ms=timing.outside_ms,
            median_ms=timing.median_ms,
            p95_ms=timing.p95_ms,
            loaded=timing.loaded,
            people=pays.people,
            detector_ms=pays.detector_ms,
            load_allowance=load_allowance([timing]),
            total_p95_ms=pays.total_ms(arch, network_ms=timing.p95_ms, grouping_ms=timing.outside_ms),
            file_bytes=size.file_bytes if size else None,
            peak_memory_bytes=size.peak_memory_bytes if size else None,
        )

    @classmethod
    def from_figures(cls, figures: Mapping[str, Any]) -> Self:
        """The measurement of `figures`. Raises KeyError where one is missing."""
        others = {field.name: figures[field.name] for field in fields(cls) if field.name != "ms"}
        return cls(ms=figures["measured_ms"], **others)

    def figures(self) -> dict[str, Any]:
        """Plain data, as results name them; times in ms."""
        return {"measured_ms": self.ms} | {name: value for name, value in vars(self).items() if name != "ms"}
