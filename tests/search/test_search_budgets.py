import numpy as np
import pytest
from search_fakes import fake_cost

from nas.errors import UserError
from nas.search.budgets import cheapest, check_budgets
from nas.space import Arch, ArchManager, SearchSpace


def test_cheapest_is_no_dearer_than_any_sample(space: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    least = fake_cost(cheapest(space, fake_cost))
    assert all(least <= fake_cost(ArchManager(space).sample(rng)) for _ in range(200))


def test_cheapest_is_found_where_more_channels_cost_less(space: SearchSpace) -> None:
    manager = ArchManager(space)

    def odd(arch: Arch) -> float:
        # Narrow networks cost more: the smallest one is not the cheapest.
        return fake_cost(arch) + 10 / arch.stages[0].width + 5 * (arch.stages[2].depth == 1)

    found = cheapest(space, odd)
    assert odd(found) < odd(manager.smallest())
    assert found.stages[0].width == max(stage.width for stage in [manager.largest().stages[0]])
    assert found.stages[2].depth == 2


def test_budget_below_the_cheapest_names_what_it_costs(space: SearchSpace) -> None:
    least = fake_cost(cheapest(space, fake_cost))
    with pytest.raises(UserError, match=f"cheapest network of demo takes {least:.2f} ms"):
        check_budgets([least * 0.9, least * 3], space, fake_cost)


def test_budgets_that_another_space_may_meet_are_left_to_it(space: SearchSpace) -> None:
    least = fake_cost(cheapest(space, fake_cost))
    assert check_budgets([3 * least, least / 2, least], space, fake_cost, some=True) == (least, 3 * least)
    with pytest.raises(UserError, match=f"{least * 0.9:g}: the cheapest network of demo"):
        check_budgets([least * 0.9, least / 2], space, fake_cost, some=True)


def test_budgets_are_sorted_and_unique(space: SearchSpace) -> None:
    least = fake_cost(cheapest(space, fake_cost))
    assert check_budgets([3 * least, least, 3 * least], space, fake_cost) == (least, 3 * least)
    with pytest.raises(UserError, match="needs a budget"):
        check_budgets([], space, fake_cost)
