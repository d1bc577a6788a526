"""The sampler that models accuracy."""

from collections.abc import Sequence

import numpy as np
import optuna
import pytest
from search_fakes import fake_accuracy, fake_cost, fake_costs, search_in_memory

from nas.arrays import Floats
from nas.search.samplers import SAMPLERS, ArchSampler
from nas.search.samplers.surrogate import FRONT_EVERY, STARTUP, SurrogateSampler
from nas.space import Arch, ArchManager, SearchSpace


@pytest.fixture(scope="module")
def budgets(space: SearchSpace) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    costs = [fake_cost(ArchManager(space).sample(rng)) for _ in range(200)]
    return float(np.quantile(costs, 0.1)), float(np.quantile(costs, 0.6))


def noisy(arch: Arch) -> float:
    return fake_accuracy(arch) + 0.01 * float(np.random.default_rng(int(arch.id, 16)).standard_normal())


def area(archs: list[Arch], limit: float) -> float:
    """Under the front of what was drawn, over the logarithm of time."""
    grid = np.geomspace(min(map(fake_cost, archs)), limit, 200)
    return float(
        np.mean([max(fake_accuracy(arch) for arch in archs if fake_cost(arch) <= ms) for ms in grid])
    )


def make(space: SearchSpace, budgets: tuple[float, ...], seed: int = 0) -> ArchSampler:
    return SurrogateSampler(space, fake_costs, budgets_ms=budgets, seed=seed)


def test_named_networks_smallest_and_largest_come_first(
    space: SearchSpace, budgets: tuple[float, float]
) -> None:
    manager = ArchManager(space)
    smallest = {manager.smallest(head=head) for head in space.heads}
    largest = {manager.largest(head=head) for head in space.heads}
    assert set(search_in_memory(make(space, (1e9,)), len(smallest | largest))) == smallest | largest
    within = search_in_memory(make(space, budgets), STARTUP)
    assert set(within[: len(smallest)]) == smallest
    assert not largest & set(within)


def test_published_networks_come_first() -> None:
    space = SearchSpace.load("litepose-published")
    published = list(space.published().values())
    assert search_in_memory(make(space, (1e9,)), len(published)) == published


@pytest.mark.slow
def test_it_beats_every_other_that_is_quick_to_ask(space: SearchSpace, budgets: tuple[float, float]) -> None:
    def best(name: str, seed: int) -> list[float]:
        sampler = SAMPLERS[name](space, fake_costs, budgets_ms=budgets, seed=seed)
        archs = search_in_memory(sampler, 40, accuracy=noisy)
        return [max(fake_accuracy(arch) for arch in archs if fake_cost(arch) <= budget) for budget in budgets]

    found = {
        name: np.mean([best(name, seed) for seed in range(2)], axis=0) for name in SAMPLERS if name != "gp"
    }
    for name in found:
        assert np.all(found["surrogate"] >= found[name]), name


def test_the_front_between_budgets_is_looked_after(space: SearchSpace, budgets: tuple[float, float]) -> None:
    archs = search_in_memory(make(space, budgets), 31)
    between = [arch for arch in archs[STARTUP:] if budgets[0] < fake_cost(arch) < 0.8 * budgets[1]]
    assert len(between) >= (31 - STARTUP) / FRONT_EVERY / 3
    blind = SAMPLERS["random"](space, fake_costs, budgets_ms=budgets, seed=0)
    assert area(archs, budgets[1]) > area(search_in_memory(blind, 31), budgets[1])


def test_candidates_are_asked_about_in_batches(space: SearchSpace, budgets: tuple[float, float]) -> None:
    sizes: list[int] = []

    def costs(archs: Sequence[Arch]) -> Floats:
        sizes.append(len(archs))
        return fake_costs(archs)

    sampler = SurrogateSampler(space, costs, budgets_ms=budgets, seed=0)
    study = optuna.create_study(directions=["maximize", "minimize"])
    search_in_memory(sampler, STARTUP, study=study)
    sizes.clear()
    search_in_memory(sampler, 1, study=study)
    assert sum(sizes) > 40
    assert len(sizes) < 12


def test_a_budget_above_the_largest_network_aims_at_the_largest(space: SearchSpace) -> None:
    most = max(fake_cost(ArchManager(space).largest(head=head)) for head in space.heads)
    archs = search_in_memory(make(space, (10 * most,)), 24)
    best = max(archs, key=fake_accuracy)
    assert fake_cost(best) > 0.5 * most


def test_a_new_budget_starts_from_what_is_known(
    space: SearchSpace, budgets: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Networks over it say what is good, too: nothing more is drawn at random."""
    study = optuna.create_study(directions=["maximize", "minimize"])
    known = search_in_memory(make(space, (1e9,)), 20, study=study)
    fitting = [arch for arch in known if fake_cost(arch) <= budgets[0]]
    assert 2 <= len(fitting) < STARTUP
    with monkeypatch.context() as patch:
        patch.setattr(SurrogateSampler, "_drawn", lambda *_: pytest.fail("drawn at random"))
        archs = search_in_memory(make(space, budgets[:1]), 6, study=study)
    assert max(map(fake_cost, archs)) <= budgets[0]
    anew = search_in_memory(make(space, budgets[:1]), 6)
    assert max(map(fake_accuracy, archs)) > max(map(fake_accuracy, anew))
