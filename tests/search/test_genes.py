import numpy as np
import pytest
from search_fakes import fake_cost, fake_costs

from nas.search.limits import no_overrun
from nas.search.samplers.features import Features
from nas.search.samplers.genes import INACTIVE, Genome
from nas.search.samplers.moving import Mover
from nas.space import ArchManager, SearchSpace


@pytest.fixture
def genome(space: SearchSpace) -> Genome:
    return Genome(space)


def test_genes_and_parameters_say_the_same_network(space: SearchSpace, genome: Genome) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        arch = ArchManager(space).sample(rng)
        assert genome.build(genome.read(arch)) == arch
        assert genome.of_params(genome.params(arch)) == arch
        encoded = ArchManager(space).encode(arch)
        active = {name: index for name, index in encoded.items() if name in genome.names}
        assert genome.of_params(active) == arch
        assert (genome.read(arch) != INACTIVE).sum() == len(active)
        assert genome.params(arch) | active == genome.params(arch)


@pytest.mark.parametrize("name", ["demo", "litepose", "any-head-crop"])
def test_what_is_active_is_told_as_it_is_read(name: str) -> None:
    genome, rng = Genome(SearchSpace.load(name)), np.random.default_rng(0)
    genes = np.stack([genome.random(rng) for _ in range(100)])
    for drawn, found in zip(genes, genome.active(genes), strict=True):
        arch, active = genome.express(drawn)
        assert found.tolist() == active.tolist() == genome.read(arch).tolist()


def test_a_network_whose_parameters_are_not_all_drawn_is_none(space: SearchSpace, genome: Genome) -> None:
    active = genome.params(ArchManager(space).smallest())
    active.pop("resolution")
    assert genome.of_params(active) is None


def test_networks_are_moved_within_bounds_one_choice_at_a_time(space: SearchSpace, genome: Genome) -> None:
    rng = np.random.default_rng(0)
    manager = ArchManager(space)
    costs = sorted(fake_cost(manager.sample(rng)) for _ in range(100))
    low, high = costs[20], costs[30]
    move = Mover(genome, fake_costs, no_overrun)
    taken = set()
    for _ in range(20):
        arch = move(genome.read(manager.largest()), rng, low_ms=low, high_ms=high, taken=taken)
        assert arch is not None
        assert low <= fake_cost(arch) <= high
        assert arch not in taken
        taken.add(arch)
    inside = min(taken, key=fake_cost)
    assert move(genome.read(inside), rng, high_ms=high, taken=()) == inside
    near = move(genome.read(inside), rng, high_ms=high, taken=taken)
    assert near is not None
    assert (genome.read(near) != genome.read(inside)).sum() < len(genome.names) / 2
    assert move(genome.read(inside), rng, high_ms=fake_cost(manager.smallest()) / 2, taken=()) is None


def test_a_limit_is_kept_before_a_budget_is_used_up(space: SearchSpace, genome: Genome) -> None:
    manager = ArchManager(space)
    budget = fake_cost(manager.largest())

    def overrun(arch: object) -> float:
        return max(0.0, fake_cost(arch) / (0.3 * budget) - 1)  # type: ignore[arg-type]

    move = Mover(genome, fake_costs, overrun)
    arch = move(
        genome.read(manager.largest()),
        np.random.default_rng(0),
        low_ms=0.8 * budget,
        high_ms=budget,
        taken=(),
    )
    assert arch is not None
    assert fake_cost(arch) <= 0.3 * budget


def test_features_say_what_dimensions_of_one_kind_have_in_common(space: SearchSpace, genome: Genome) -> None:
    features = Features(genome)
    kernels = [place for place, name in enumerate(genome.names) if name.endswith(".kernel")]
    assert len(kernels) > 2
    small = genome.read(ArchManager(space).largest())
    large = small.copy()
    small[kernels], large[kernels] = 0, genome.sizes[kernels] - 1
    found = features(np.stack([small, large]))
    assert found.shape[1] > len(genome.names)
    changed = np.flatnonzero(found[0] != found[1])
    assert set(kernels) < set(changed.tolist())
    assert np.all(found[1, changed] > 0)
    # An inactive dimension is neither here nor there.
    small[kernels[0]] = INACTIVE
    assert features(small[None])[0, kernels[0]] == 0
