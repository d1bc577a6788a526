"""Which networks are trained alone."""

import numpy as np
import pytest
from search_fakes import fake_cost, fake_costs

from nas.errors import UserError
from nas.search.diagnosis.picking import PickedNetwork, PickRule, pick_networks
from nas.space import Arch, SearchSpace


def pick(
    space: SearchSpace, count: int, *, known: tuple[PickedNetwork, ...] = (), **rule: object
) -> tuple[PickedNetwork, ...]:
    return pick_networks(
        space,
        PickRule(**rule),
        count=count,
        known=known,
        predict=fake_costs,
        macs=lambda arch: id_number(arch),
    )


def id_number(arch: Arch) -> int:
    return int(arch.id, 16)


def test_some_are_spread_over_all_milliseconds_and_several_lie_in_narrow_bins(space: SearchSpace) -> None:
    picked = pick(space, 12)
    assert len({network.arch for network in picked}) == 12
    assert all(network.predicted_ms == fake_cost(network.arch) for network in picked)
    assert all(network.macs == id_number(network.arch) for network in picked)
    ms = np.array([network.predicted_ms for network in picked])
    for number in (0, 1):
        inside = [network.predicted_ms for network in picked if network.bin == number]
        assert len(inside) >= 4
        assert max(inside) / min(inside) <= 1.04
    # The bins lie at a quarter and three quarters of the way, the others are spread from end to end.
    scale = (np.log(ms) - np.log(ms.min())) / np.log(ms.max() / ms.min())
    places = [scale[[network.bin == number for network in picked]].mean() for number in (0, 1)]
    assert places == pytest.approx([0.25, 0.75], abs=0.02)
    outside = np.sort(scale[[network.bin is None for network in picked]])
    assert (outside[0], outside[-1]) == pytest.approx((0.0, 1.0))
    assert len(outside) >= 3


@pytest.mark.slow
def test_what_is_picked_follows_from_the_seed_and_grows_without_changing(space: SearchSpace) -> None:
    picked = pick(space, 9)
    assert pick(space, 9) == picked
    assert pick(space, 9, seed=1) != picked
    assert pick(space, 14)[:9] == picked
    assert pick(space, 14, known=picked) == pick(space, 14)
    assert pick(space, 5, known=picked) == picked


def test_a_rule_narrows_what_is_picked(space: SearchSpace) -> None:
    head = space.heads[0]
    assert {network.arch.head.type for network in pick(space, 6, heads=(head,))} == {head}
    most = np.median([network.predicted_ms for network in pick(space, 12)])
    assert max(network.predicted_ms for network in pick(space, 6, max_ms=float(most))) <= most
    for network in pick(space, 16, bins=4, bin_width=0.02):
        assert network.bin in (None, 0, 1, 2, 3)


def test_too_few_networks_are_told(space: SearchSpace) -> None:
    one = SearchSpace.of(pick(space, 4)[0].arch)
    with pytest.raises(UserError, match=r"`networks`: there are only 1 of .* ms among those drawn"):
        pick(one, 4, bins=1)
    with pytest.raises(UserError, match="`bins`: 2 of 4% do not fit between"):
        pick(one, 4)
    with pytest.raises(UserError, match="`max_ms`: the cheapest of"):
        pick(space, 4, max_ms=1e-6)
    with pytest.raises(UserError, match=r"`networks`: there are only .* of .* ms among those drawn"):
        pick(space, 400, bin_width=1e-5)


def test_a_picked_network_is_read_back(space: SearchSpace) -> None:
    for network in pick(space, 4):
        assert PickedNetwork.from_json(network.to_json()) == network
