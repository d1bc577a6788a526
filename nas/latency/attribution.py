"""What every kernel of a timed network took: its profiled operators, brought to the mirror's kernels."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.arrays import Floats
from nas.latency.kernel_part import PlacedKernel
from nas.latency.kernels import REORDER_IN, REORDER_OUT, Kernel
from nas.timing.timing import Timing

# Exported nodes are named after the edge that their operator gives; inserted reorders by kind and shape.
_EDGE = re.compile(r"edge_(\d+)")
_REORDERS = {REORDER_IN: "ReorderInput", REORDER_OUT: "ReorderOutput"}
# Of an operator's profiled time at least this share is work: the profiler's part is known only on average.
_LEAST_WORK = 0.25


@dataclass(frozen=True, eq=False)
class TimedKernels:
    """One timed network, taken apart.

    Args:
        kernels: in an order of execution.
        scopes: the module of each.
        ms: of each [N]. All operators of the network together add up to its label.
        label_ms: what the network took.
        macs: of the network.
        matched: share of the profiled time that belongs to these kernels.
    """

    kernels: tuple[Kernel, ...]
    scopes: tuple[str, ...]
    ms: Floats
    label_ms: float
    macs: int
    matched: float


def take_apart(timing: Timing, placed: Sequence[PlacedKernel], *, macs: int) -> TimedKernels:
    """Bring the operators of a timed network to its kernels.

    The profiler adds about the same to every operator; as much is taken off as brings their sum to the
    network's label.
    """
    label = timing.measured_ms
    operators = timing.operators
    profiled = np.array([operator.ms for operator in operators])
    overhead = max(0.0, float(profiled.sum()) - label) / len(profiled)
    work = np.maximum(profiled - overhead, _LEAST_WORK * profiled)
    work *= label / work.sum()

    by_edge = {edge: index for index, kernel in enumerate(placed) for edge in _own_edges(kernel)}
    ms = np.zeros(len(placed))
    reorders: defaultdict[str, list[float]] = defaultdict(list)
    matched = 0.0
    for operator, value in zip(operators, work, strict=True):
        edge = _EDGE.search(operator.name)
        if edge is None:
            reorders[operator.name.partition("#")[0]].append(value)
        elif (index := by_edge.get(int(edge[1]))) is not None:
            ms[index] += value
            matched += value
    for index, kernel in enumerate(placed):
        times = reorders.get(_reorder_name(kernel.kernel))
        if times:
            ms[index] = np.mean(times)
            matched += ms[index]
    return TimedKernels(
        kernels=tuple(found.kernel for found in placed),
        scopes=tuple(found.scope for found in placed),
        ms=ms,
        label_ms=label,
        macs=macs,
        matched=min(1.0, matched / label),
    )


def _own_edges(placed: PlacedKernel) -> Sequence[int]:
    return () if placed.kernel.kind in _REORDERS else placed.edges


def _reorder_name(kernel: Kernel) -> str:
    name = _REORDERS.get(kernel.kind)
    return f"{name} 1x{kernel.outputs}x{kernel.height}x{kernel.width}" if name else ""
