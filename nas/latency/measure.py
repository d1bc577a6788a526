"""Measuring: networks of a space into a table."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from nas.graph import Tracer
from nas.latency.drawing import draw_archs
from nas.latency.mirror import KernelMirror
from nas.latency.networks import Precision, arch_network
from nas.space.arch import Arch
from nas.space.skeleton import Skeleton
from nas.space.space import SearchSpace
from nas.timing.channel_block import detect_channel_block
from nas.timing.loop import NoProgress, TimingProgress, measure_networks
from nas.timing.protocol import Network, Protocol
from nas.timing.table import Source
from nas.timing.timing import Timing


def measure_space(
    space: SearchSpace,
    skeleton: Skeleton,
    *,
    samples: int,
    table: Path,
    threads: int = 1,
    precision: Precision = "fp32",
    checks: Mapping[str, Arch] | None = None,
    memory: bool = False,
    seed: int = 0,
    protocol: Protocol | None = None,
    progress: TimingProgress | None = None,
) -> list[Timing]:
    """Time networks drawn from a space into a table; see `draw_networks`.

    A second call makes up what an interrupted one left.

    Args:
        table: JSON lines; continued where it exists.
        threads: of onnxruntime.
        precision: a table may hold both.
        checks: by name, networks that are timed along, and that predictors are checked on, not fitted to.
        memory: measure file sizes and peak memory too; some seconds more for every network.

    Returns:
        The timings of the networks drawn, and of those to check on.

    Raises:
        UserError: the table is of another device or protocol.
    """
    block = detect_channel_block()
    rng = np.random.default_rng(seed)
    networks = draw_networks(
        space, skeleton, samples=samples, channel_block=block, rng=rng, precision=precision
    )
    networks += _check_networks(checks or {}, skeleton, networks, precision=precision)
    return measure_networks(
        networks,
        table=table,
        threads=threads,
        rng=rng,
        channel_block=block,
        sources=[Source(space.to_json(), skeleton.to_json())],
        protocol=protocol or Protocol(),
        progress=progress or NoProgress(),
        memory=memory,
    )


def draw_networks(
    space: SearchSpace,
    skeleton: Skeleton,
    *,
    samples: int,
    channel_block: int,
    rng: np.random.Generator,
    precision: Precision = "fp32",
) -> list[Network]:
    """Networks of a space to time, spread over MACs, the smallest and the largest among them.

    The same space, skeleton, samples, channel block and seed give the same networks.
    """
    tracer = Tracer(space, skeleton)
    archs = draw_archs(space, _describer(tracer, channel_block), samples=samples, rng=rng)
    return [arch_network(arch, tracer, precision=precision) for arch in archs]


def _check_networks(
    checks: Mapping[str, Arch], skeleton: Skeleton, drawn: Sequence[Network], *, precision: Precision
) -> list[Network]:
    found = [
        arch_network(arch, Tracer(arch, skeleton), name=name, precision=precision, check=True)
        for name, arch in checks.items()
    ]
    known = {network.key for network in drawn}
    return [network for network in found if network.key not in known]


def _describer(tracer: Tracer, channel_block: int) -> Callable[[Arch], tuple[int, frozenset[str]]]:
    mirror = KernelMirror(channel_block)

    def describe(arch: Arch) -> tuple[int, frozenset[str]]:
        graph = tracer(arch)
        return graph.macs, frozenset(placed.kernel.kind for placed in mirror(graph))

    return describe
