"""Which networks are drawn for measuring."""

import numpy as np
import pytest

from nas.latency.drawing import draw_archs
from nas.space import Arch, ArchManager, SearchSpace


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return SearchSpace.load("person-crop")


def _describe(arch: Arch) -> tuple[int, frozenset[str]]:
    """A stand-in for MACs that spreads over orders of magnitude, and what a network has of each kind."""
    height, width = arch.resolution
    size = height * width * sum(stage.width * stage.depth for stage in arch.stages)
    return size, frozenset({arch.head.type, f"neck {arch.neck.upsampler}"})


def test_draws_are_spread_and_hold_both_ends(space: SearchSpace) -> None:
    manager = ArchManager(space)
    archs = draw_archs(space, _describe, samples=16, rng=np.random.default_rng(0))
    assert archs[:2] == [manager.smallest(), manager.largest()]
    assert len(set(archs)) == 16
    sizes = np.log([_describe(arch)[0] for arch in archs])
    # Every third of the range (of logarithms) has its part, which uniform draws would not give.
    thirds = np.linspace(sizes.min(), sizes.max(), 4)
    assert min(np.histogram(sizes, thirds)[0]) >= 3


def test_every_kind_of_network_is_among_few_draws(space: SearchSpace) -> None:
    rng = np.random.default_rng(1)
    known = frozenset().union(*(_describe(ArchManager(space).sample(rng))[1] for _ in range(300)))
    drawn = draw_archs(space, _describe, samples=12, rng=rng)
    assert frozenset().union(*(_describe(arch)[1] for arch in drawn)) == known


def test_the_same_seed_draws_the_same(space: SearchSpace) -> None:
    first, second, other = (
        draw_archs(space, _describe, samples=8, rng=np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    assert first == second
    assert first != other


def test_a_space_of_one_arch_gives_one() -> None:
    arch = ArchManager(SearchSpace.load("person-crop")).smallest()
    assert draw_archs(SearchSpace.of(arch), _describe, samples=5, rng=np.random.default_rng(0)) == [arch]
