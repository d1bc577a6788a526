"""Rank correlations as scipy has them, within groups too; intervals; what a difference is worth."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr

from nas.search.diagnosis.statistics import (
    LEAST_PAIRS,
    Bounded,
    agreement_by_difference,
    bounded,
    by_lot,
    count_pairs,
    kendall,
    lead,
    pairs_right,
    resamples,
    spearman,
    worth,
)

SCORES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=15)


def one_group(count: int) -> np.ndarray:
    return np.zeros(count, np.int64)


@given(SCORES)
def test_correlations_of_one_group_are_scipys(scores: list[tuple[int, int]]) -> None:
    x, y = np.array(scores, float).T
    group = one_group(len(x))
    if len(set(x)) < 2 or len(set(y)) < 2:
        assert math.isnan(kendall(x, y, group))
        assert math.isnan(spearman(x, y, group))
    else:
        assert kendall(x, y, group) == pytest.approx(kendalltau(x, y).statistic)
        assert spearman(x, y, group) == pytest.approx(spearmanr(x, y).statistic)


def test_several_rankings_at_once_are_each_alone() -> None:
    x, y = np.random.default_rng(0).integers(0, 5, (2, 7, 9)).astype(float)
    groups = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])
    for figure in (kendall, spearman, pairs_right):
        alone = [float(figure(*pair, groups)) for pair in zip(x, y, strict=True)]
        assert figure(x, y, groups).tolist() == pytest.approx(alone, nan_ok=True)


def test_only_networks_of_one_group_are_compared() -> None:
    """Each group is in perfect order, or reversed, whatever stands between the groups."""
    groups = np.array([3, 7, 3, 7, 3])
    x = np.array([1.0, 50.0, 2.0, 40.0, 3.0])
    y = np.array([10.0, 5.0, 11.0, 4.0, 12.0])
    assert count_pairs(groups) == 4
    assert kendall(x, y, groups) == spearman(x, y, groups) == pairs_right(x, y, groups) == 1.0
    y[1], y[3] = 4.0, 5.0
    # Three pairs are right, one is wrong; of ranks -1 0 1 and -1/2 1/2 the sum of products is 2 - 1/2.
    assert kendall(x, y, groups) == pytest.approx(0.5)
    assert spearman(x, y, groups) == pytest.approx(1.5 / 2.5)
    assert pairs_right(x, y, groups) == pytest.approx(0.75)
    assert kendall(x, y, one_group(5)) == pytest.approx(kendalltau(x, y).statistic)


def test_a_tied_pair_is_half_right_and_one_that_is_no_pair_counts_for_nothing() -> None:
    x, y = np.array([1.0, 1.0, 2.0]), np.array([3.0, 4.0, 5.0])
    assert pairs_right(x, y, one_group(3)) == pytest.approx((0.5 + 1 + 1) / 3)
    same = np.array([1.0, 1.0, 2.0])
    assert pairs_right(same, same, one_group(3)) == 1.0
    assert math.isnan(pairs_right(np.ones(3), np.ones(3), one_group(3)))


def test_networks_are_drawn_anew_from_their_own_group() -> None:
    groups = np.array([0, 1, 0, 1, 1])
    drawn = resamples(groups, np.random.default_rng(0))
    assert drawn.shape == (1000, 5)
    assert (groups[drawn] == groups).all()
    assert set(drawn[:, 0]) == {0, 2}
    assert set(drawn[:, 1]) == {1, 3, 4}


def noisy(count: int, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=count)
    return x, x + noise * rng.normal(size=count)


def test_the_interval_holds_the_truth_nine_times_of_ten() -> None:
    """Of pairs of normal scores tau is 2 / pi asin(r)."""
    truth = 2 / np.pi * np.arcsin(1 / np.sqrt(2))
    held = 0
    for seed in range(60):
        x, y = noisy(30, 1.0, seed)
        group = one_group(30)
        found = bounded(kendall, [(x, y)], group, resamples(group, np.random.default_rng(seed)))
        assert found.low < found.value < found.high
        held += found.low <= truth <= found.high
    assert 0.8 * 60 <= held <= 59


def test_a_perfect_ranking_has_no_width_and_of_several_the_mean_is_told() -> None:
    x = np.arange(8.0)
    group = one_group(8)
    drawn = resamples(group, np.random.default_rng(0))
    assert bounded(kendall, [(x, x**3)], group, drawn) == Bounded(1.0, 1.0, 1.0)
    assert bounded(spearman, [(x, x), (x, -x)], group, drawn) == Bounded(0.0, 0.0, 0.0)
    nothing = bounded(kendall, [(np.ones(8), x)], group, drawn)
    assert nothing.to_json() == {"value": None, "low": None, "high": None}


def test_a_lead_is_told_of_the_same_networks() -> None:
    """Both rankings err on the same networks: the lead is surer than each of them."""
    x, y = noisy(30, 1.0, 0)
    worse = x + 0.5 * np.random.default_rng(1).normal(size=30)
    group = one_group(30)
    drawn = resamples(group, np.random.default_rng(0))
    of_x, of_worse = (bounded(kendall, [(scores, y)], group, drawn) for scores in (x, worse))
    found = lead(kendall, x, worse, y, group, drawn)
    assert found.value == pytest.approx(of_x.value - of_worse.value)
    assert found.low < found.value < found.high
    assert found.high - found.low < of_x.high - of_x.low
    assert lead(kendall, x, x, y, group, drawn) == Bounded(0.0, 0.0, 0.0)


def test_lots_tell_nothing() -> None:
    y, group = np.arange(12.0), one_group(12)
    tau = by_lot(kendall, y, group, np.random.default_rng(0))
    right = by_lot(pairs_right, y, group, np.random.default_rng(0))
    assert tau.value == pytest.approx(0.0)
    assert right.value == pytest.approx(0.5)
    # Tau's standard deviation by chance, Kendall 1938.
    deviation = np.sqrt(2 * (2 * 12 + 5) / (9 * 12 * 11))
    assert tau.high == -tau.low == pytest.approx(1.645 * deviation, rel=0.1)


def test_of_pairs_that_differ_by_so_much_the_share_that_is_right() -> None:
    x = np.array([0.0, 1.0, 3.0])
    y = np.array([0.0, 2.0, 1.0])
    sizes, shares, counts = agreement_by_difference(x, y, one_group(3))
    assert sizes.tolist() == [3.0, 2.0, 1.0]
    assert shares.tolist() == pytest.approx([1.0, 0.5, 2 / 3])
    assert counts.tolist() == [1, 2, 3]
    # Pairs that differ by the same stand together; those that do not differ are left out.
    sizes, shares, counts = agreement_by_difference(np.array([0.0, 1.0, 1.0]), y, one_group(3))
    assert (sizes.tolist(), shares.tolist(), counts.tolist()) == ([1.0], [1.0], [2])
    sizes, _, _ = agreement_by_difference(np.ones(3), y, one_group(3))
    assert not len(sizes)
    sizes, _, _ = agreement_by_difference(np.ones(0), np.ones(0), one_group(0))
    assert not len(sizes)


def test_what_a_difference_is_worth_by_hand() -> None:
    """21 pairs of seven networks; those next to each other are wrong, all others right."""
    x, y = np.arange(7.0), np.array([1.0, 0.0, 3.0, 2.0, 5.0, 4.0, 6.0])
    group = one_group(7)
    drawn = resamples(group, np.random.default_rng(0))
    wrong = sum(y[i] > y[i + 1] for i in range(6))
    assert wrong == 3
    # All pairs: 18 of 21 right; those that differ by 2 or more: 15 of 15.
    assert worth(x, y, group, drawn, share=0.85).difference.value == 1.0
    found = worth(x, y, group, drawn, share=0.9)
    assert (found.difference.value, found.pairs) == (2.0, 15)
    assert found.difference.low <= 2.0 <= found.difference.high


def test_few_pairs_are_worth_nothing() -> None:
    x = np.arange(4.0)
    group = one_group(4)
    assert count_pairs(group) < LEAST_PAIRS
    found = worth(x, x, group, resamples(group, np.random.default_rng(0)), share=0.9)
    assert found.difference.to_json() == {"value": None, "low": None, "high": None}
    assert found.pairs == 0


def test_a_noisier_ranking_needs_a_larger_difference() -> None:
    group = one_group(40)
    drawn = resamples(group, np.random.default_rng(0))
    quiet, loud = (worth(*noisy(40, noise, 0), group, drawn, share=0.9) for noise in (0.1, 0.4))
    assert quiet.difference.value < loud.difference.value
    assert quiet.pairs > loud.pairs
