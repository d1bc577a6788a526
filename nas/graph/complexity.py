"""Size and cost of an architecture."""

from dataclasses import dataclass
from functools import lru_cache

from nas.graph.tracer import Tracer
from nas.space.arch import Arch
from nas.space.skeleton import Skeleton
from nas.space.space import SearchSpace


@dataclass(frozen=True)
class Complexity:
    """Parameters of the plain network, and multiply-accumulates for one image (each true product once)."""

    params: int
    macs: int


def complexity(arch: Arch, skeleton: Skeleton | str, *, space: SearchSpace | None = None) -> Complexity:
    """Parameters and MACs of an architecture.

    Args:
        arch: the architecture.
        skeleton: the joints that it finds, or the name of a shipped skeleton.
        space: a space that holds it; with many architectures of one space this saves building each network.
    """
    found = Skeleton.load(skeleton) if isinstance(skeleton, str) else skeleton
    return _of_arch(arch, found) if space is None else _measured(_tracer(space, found), arch)


@lru_cache(maxsize=1024)
def _of_arch(arch: Arch, skeleton: Skeleton) -> Complexity:
    return _measured(Tracer(arch, skeleton), arch)


@lru_cache(maxsize=4)
def _tracer(space: SearchSpace, skeleton: Skeleton) -> Tracer:
    return Tracer(space, skeleton)


def _measured(tracer: Tracer, arch: Arch) -> Complexity:
    graph = tracer(arch)
    return Complexity(params=graph.params, macs=graph.macs)
