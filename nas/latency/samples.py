"""Timed networks as samples to fit a predictor to: their archs traced, their profiles taken apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np

from nas.errors import UserError
from nas.graph import Graph, Tracer
from nas.latency.attribution import TimedKernels, take_apart
from nas.latency.mirror import KernelMirror
from nas.latency.networks import ArchTracer
from nas.space.arch import Arch
from nas.space.skeleton import Skeleton
from nas.space.space import SearchSpace
from nas.timing.table import LatencyTable
from nas.timing.timing import Timing

FP32 = "fp32"


@dataclass(frozen=True, eq=False)
class Samples:
    """The networks of a table that one predictor is fitted to.

    Args:
        skeleton: the heads are sized by it.
        spaces: as JSON, what the networks were drawn from.
        timings, archs, networks: of the same networks, in the same order.
        checks: timings of networks that predictors are checked on, and not fitted to.
    """

    skeleton: Skeleton
    spaces: tuple[Mapping[str, Any], ...]
    timings: tuple[Timing, ...]
    archs: tuple[Arch, ...]
    networks: tuple[TimedKernels, ...]
    checks: tuple[Timing, ...]

    @classmethod
    def of(
        cls,
        table: LatencyTable,
        *,
        skeleton: str | None = None,
        precision: str = FP32,
        tracer: ArchTracer | None = None,
    ) -> Self:
        """The networks of one skeleton and precision.

        Args:
            table: of `measure_space`.
            skeleton: its name; needed where the table holds several.
            precision: "fp32" or "int8".
            tracer: arch -> graph; None makes one from the spaces that the table names.

        Raises:
            UserError: an ambiguous or unknown skeleton.
        """
        chosen = _skeleton(table, skeleton)
        spaces = tuple(source.space for source in table.sources if source.skeleton == chosen.to_json())
        meant = [
            timing
            for timing in table.timings()
            if timing.description.get("skeleton") == chosen.name
            and timing.description.get("precision", FP32) == precision
        ]
        checks = tuple(timing for timing in meant if timing.description.get("check"))
        timings = tuple(timing for timing in meant if not timing.description.get("check"))
        archs = tuple(Arch.from_json(timing.description["arch"]) for timing in timings)
        trace, mirror = tracer or TracerOfSpaces(spaces, chosen), mirror_of(table.channel_block, precision)
        networks = tuple(
            take_apart(timing, mirror(trace(arch)), macs=timing.description["macs"])
            for arch, timing in zip(archs, timings, strict=True)
        )
        return cls(chosen, spaces, timings, archs, networks, checks)

    def outside_by_head(self, other: Mapping[str, float] | None = None) -> dict[str, float]:
        """By head type, the median time outside the graph (grouping) in ms; none for what was not timed.

        Where `other` tells the same of another device, heads that were timed there alone take as much longer
        than there as those that were timed on both.
        """
        by_head: dict[str, list[float]] = {}
        for arch, timing in zip(self.archs, self.timings, strict=True):
            if not np.isnan(timing.outside_ms):
                by_head.setdefault(arch.head.type, []).append(timing.outside_ms)
        here = {head: float(np.median(values)) for head, values in by_head.items()}
        ratios = [ms / other[head] for head, ms in here.items() if other and other.get(head)]
        there = {head: ms * float(np.median(ratios)) for head, ms in (other or {}).items() if ratios}
        return {**there, **here}

    def p95_ratio(self) -> float:
        """The median of the 95th percentile of whole runs over the label."""
        return float(np.median([timing.p95_ms / timing.measured_ms for timing in self.timings]))


def mirror_of(channel_block: int, precision: str) -> KernelMirror:
    """The mirror for networks of a precision: onnxruntime's int8 kernels do not work on blocked channels."""
    return KernelMirror(channel_block if precision == FP32 else 1)


class TracerOfSpaces:
    """Traces with the first space that holds the arch, and with one of its own where none does.

    Args:
        spaces: as JSON.
        skeleton: the joints to find.
        anonymous: see `nas.graph.Tracer`; enough for kernels, but not for where they are.
    """

    def __init__(
        self, spaces: Sequence[Mapping[str, Any]], skeleton: Skeleton, *, anonymous: bool = False
    ) -> None:
        self.skeleton = skeleton
        self._spaces = [SearchSpace.from_json(space) for space in spaces]
        self._tracer = lru_cache(maxsize=8)(lambda space: Tracer(space, skeleton, anonymous=anonymous))

    def __call__(self, arch: Arch) -> Graph:
        """The graph of an arch."""
        space = next((space for space in self._spaces if space.contains(arch)), None)
        return self._tracer(space or arch)(arch)


def _skeleton(table: LatencyTable, name: str | None) -> Skeleton:
    known: dict[str, Skeleton] = {}
    for source in table.sources:
        skeleton = Skeleton.from_json(source.skeleton, source=str(table.path))
        known[skeleton.name] = skeleton
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if name not in known:
        names = ", ".join(sorted(known)) or "none"
        raise UserError(f"{table.path} has networks of the skeletons {names}; choose one by `skeleton`")
    return known[name]
