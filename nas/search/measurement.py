"""What a network takes on this machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from statistics import fmean
from typing import Any, Self

from nas.latency import EndToEnd
from nas.latency.uncertainty import load_allowance
from nas.search.drift import Drift
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
        load_allowance: by which share of it others' work may have lengthened `network_ms`.
        file_bytes, peak_memory_bytes: of its ONNX file, and of loading and running it; None where that is
            not known.
        noise: by which share timings of one network differ, of those that were timed beside it.
        drift: how many times slower the machine was than for its latency table; None where that is not known.
        corrected: whether times were divided by it.
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
    noise: float = 0.0
    drift: float | None = None
    corrected: bool = False

    @classmethod
    def of(
        cls,
        arch: Arch,
        timing: Timing,
        pays: EndToEnd,
        *,
        size: MeasuredFootprint | None = None,
        noise: float = 0.0,
        drift: Drift | None = None,
    ) -> Self:
        """A timing as a part of what a user pays; `pays` is corrected for the drift already."""
        slower = drift.correction if drift else 1.0
        network_ms, grouping_ms = timing.measured_ms / slower, timing.outside_ms / slower
        p95_ms = timing.p95_ms / slower
        return cls(
            ms=pays.total_ms(arch, network_ms=network_ms, grouping_ms=grouping_ms),
            network_ms=network_ms,
            grouping_ms=grouping_ms,
            median_ms=timing.median_ms / slower,
            p95_ms=p95_ms,
            loaded=timing.loaded,
            people=pays.people,
            detector_ms=pays.detector_ms,
            load_allowance=load_allowance([timing]),
            total_p95_ms=pays.total_ms(arch, network_ms=p95_ms, grouping_ms=grouping_ms),
            file_bytes=size.file_bytes if size else None,
            peak_memory_bytes=size.peak_memory_bytes if size else None,
            noise=noise,
            drift=drift.ratio if drift else None,
            corrected=slower != 1.0,
        )

    @classmethod
    def mean(cls, timings: Sequence["Measurement"]) -> "Measurement":
        """Of one network measured several times; its size is that of the first."""
        first = timings[0]
        figures: dict[str, Any] = {
            name: fmean(known)
            for name in _AVERAGED
            if (known := [value for each in timings if (value := getattr(each, name)) is not None])
        }
        return replace(
            first,
            **figures,
            loaded=any(each.loaded for each in timings),
            corrected=any(each.corrected for each in timings),
        )

    @classmethod
    def from_figures(cls, figures: Mapping[str, Any]) -> Self:
        """The measurement of `figures`. Raises KeyError where one is missing that all versions wrote."""
        known = {**_OF_EARLIER_VERSIONS, **figures}
        others = {field.name: known[field.name] for field in fields(cls) if field.name != "ms"}
        return cls(ms=figures["measured_ms"], **others)

    def figures(self) -> dict[str, Any]:
        """Plain data, as results name them; times in ms."""
        return {"measured_ms": self.ms} | {name: value for name, value in vars(self).items() if name != "ms"}


_AVERAGED = (
    "ms", "network_ms", "grouping_ms", "median_ms", "p95_ms", "detector_ms", "total_p95_ms", "load_allowance",
    "noise", "drift",
)  # fmt: skip
_OF_EARLIER_VERSIONS = {"noise": 0.0, "drift": None, "corrected": False}
"""What they say that measured without it."""
