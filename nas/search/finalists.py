"""The best of each budget, really measured: what was measured is what is reported."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Self

from nas.latency import EndToEnd
from nas.latency.uncertainty import load_allowance
from nas.search.limits import Limits
from nas.search.pareto import within
from nas.search.values import Evaluated
from nas.space import Arch
from nas.timing import Timing
from nas.timing.memory import MeasuredFootprint

ROUNDS = 4


@dataclass(frozen=True)
class Measured:
    """What a network takes on this machine.

    Args:
        ms: end to end (decode, grouping, people, person detector); what budgets are held against.
        network_ms: of one run of the network with decode, by the timing protocol.
        grouping_ms: of what is left to do after one run.
        median_ms, p95_ms: wall time of whole runs of the network.
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

    def figures(self) -> dict[str, Any]:
        """Plain data, as results name them; times in ms."""
        return {"measured_ms": self.ms} | {name: value for name, value in vars(self).items() if name != "ms"}


Measure = Callable[[Sequence[Arch]], Mapping[str, Measured]]
"""Measures networks side by side; the results by arch id."""


@dataclass(frozen=True)
class Finalist:
    """A scored network that was measured."""

    item: Evaluated
    measured: Measured


@dataclass(frozen=True)
class Finals:
    """The outcome.

    Args:
        winners: by budget, the most accurate network that was measured within it; None where none was.
        measured: every network that was measured.
    """

    winners: Mapping[float, Finalist | None]
    measured: tuple[Finalist, ...]


def run_finals(
    history: Sequence[Evaluated],
    budgets_ms: Sequence[float],
    measure: Measure,
    *,
    per_budget: int,
    limits: Limits | None = None,
) -> Finals:
    """Measure the best `per_budget` networks of each budget, and further ones while none of them fits.

    A predictor that is a few percent off would otherwise leave a budget empty: after the first round its
    scale is corrected by the median of measured over predicted time, and what is over by that is left out.
    A winner keeps the limits as measured too.
    """
    limits = limits or Limits()

    def winner(budget: float) -> Finalist | None:
        return _winner([f for f in known.values() if limits.keeps(f.measured)], budget)

    known: dict[str, Finalist] = {}
    open_budgets = list(budgets_ms)
    for _ in range(ROUNDS):
        scale = median([f.measured.ms / f.item.predicted_ms for f in known.values()] or [1.0])
        chosen = {
            item.arch.id: item
            for budget in open_budgets
            for item in _next(history, budget / max(scale, 1.0), known, per_budget)
        }
        if not chosen:
            break
        times = measure([item.arch for item in chosen.values()])
        known.update((key, Finalist(item, times[key])) for key, item in chosen.items())
        open_budgets = [budget for budget in open_budgets if winner(budget) is None]
        if not open_budgets:
            break
    return Finals({budget: winner(budget) for budget in budgets_ms}, tuple(known.values()))


def _next(
    history: Sequence[Evaluated], budget: float, known: Mapping[str, Finalist], count: int
) -> list[Evaluated]:
    """The best networks within a budget that are not measured yet."""
    return [item for item in within(history, budget) if item.arch.id not in known][:count]


def _winner(measured: Iterable[Finalist], budget: float) -> Finalist | None:
    fitting = [finalist for finalist in measured if finalist.measured.ms <= budget]
    return max(fitting, key=lambda f: (f.item.accuracy, -f.measured.ms), default=None)
