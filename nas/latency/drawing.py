"""Which networks of a space are measured: spread over MACs, and with every kind of operator among them."""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from nas.space.arch import Arch
from nas.space.manager import ArchManager
from nas.space.space import SearchSpace

Describe = Callable[[Arch], tuple[int, frozenset[str]]]
"""An arch's MACs, and the kinds of its kernels."""

T = TypeVar("T", bound=Hashable)

_POOL_PER_SAMPLE = 12
_WANTED_PER_KIND = 3


def draw_archs(
    space: SearchSpace, describe: Describe, *, samples: int, rng: np.random.Generator
) -> list[Arch]:
    """Distinct archs of a space, its smallest and largest first; fewer where the space has fewer.

    The others are spread evenly over the logarithm of their MACs; within a range of MACs those are preferred
    that bring kinds of kernels which few others have, so that a predictor gets to know all kinds.
    """
    manager = ArchManager(space)
    ends = list(dict.fromkeys((manager.smallest(), manager.largest())))[:samples]
    pool = _pool(manager, ends, size=_POOL_PER_SAMPLE * samples, rng=rng)
    return spread(ends, pool, {arch: describe(arch) for arch in (*ends, *pool)}, samples=samples)


def spread(
    ends: Sequence[T], pool: Sequence[T], described: Mapping[T, tuple[int, frozenset[str]]], *, samples: int
) -> list[T]:
    """`ends` and other networks of a pool, as `draw_archs` draws them; `described` as by `Describe`."""
    strata = _strata(pool, described, count=max(1, samples - len(ends)))
    drawn = list(ends)
    seen = Counter(kind for network in ends for kind in described[network][1])

    def news(network: T) -> int:
        return sum(seen[kind] < _WANTED_PER_KIND for kind in described[network][1])

    while len(drawn) < samples and any(strata):
        for stratum in strata:
            if not stratum or len(drawn) == samples:
                continue
            best = stratum.pop(int(np.argmax([news(network) for network in stratum])))
            drawn.append(best)
            seen.update(described[best][1])
    return drawn


def _pool(manager: ArchManager, ends: list[Arch], *, size: int, rng: np.random.Generator) -> list[Arch]:
    """Random archs, and mutants of the ends: uniform draws alone hardly leave the middle of a large space."""
    pool: dict[Arch, None] = {}
    for turn in range(size):
        if turn % 3 == 0:
            end = ends[int(rng.integers(len(ends)))]
            arch = manager.mutate(end, rng, rate=rng.uniform(0.1, 0.6))
        else:
            arch = manager.sample(rng)
        if arch not in ends:
            pool[arch] = None
    return list(pool)


def _strata(
    pool: Sequence[T], described: Mapping[T, tuple[int, frozenset[str]]], *, count: int
) -> list[list[T]]:
    if not pool:
        return []
    size = np.log([max(1, described[network][0]) for network in pool])
    edges = np.linspace(size.min(), size.max(), count + 1)[1:-1]
    strata: list[list[T]] = [[] for _ in range(count)]
    for network, stratum in zip(pool, np.searchsorted(edges, size), strict=True):
        strata[stratum].append(network)
    return strata
