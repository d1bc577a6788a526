"""How well one ranking tells another: rank correlations, their intervals, what a difference is worth.

Networks stand in groups, and only those of one group are compared: one group for all of them, or one for each
bin. All figures are of pairs of networks, or of ranks within a group.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

from nas.arrays import Flags, Floats, Ints

Statistic = Callable[[Floats, Floats, Ints], Floats]
"""Of two scores [..., N] of networks in groups [N], a figure [...]; NaN where nothing can be told."""

_QUANTILES = (0.05, 0.95)
_DRAWS = 1000
ENOUGH = 0.9
"""The share of pairs that have to be right for a difference to be relied on."""

LEAST_PAIRS = 10
"""A share of fewer pairs than these says nothing."""


@dataclass(frozen=True)
class Bounded:
    """A figure and its interval, of 90 % here; NaN, and no bound, where nothing can be told."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, Any]:
        """Plain data; what is not finite becomes None."""
        return {name: value if np.isfinite(value) else None for name, value in vars(self).items()}


@dataclass(frozen=True)
class Worth:
    """From which difference on the better network of a pair is the better one in the other score too.

    Args:
        share: in so large a share of the pairs that differ by so much or more.
        difference: infinite where no difference that was seen is enough.
        pairs: that differ by so much or more.
    """

    share: float
    difference: Bounded
    pairs: int


def kendall(x: Floats, y: Floats, groups: Ints) -> Floats:
    """Kendall's tau-b (Kendall 1945): pairs in the same order less those in the other, tied ones apart."""
    of_x, of_y = _signs(x, groups), _signs(y, groups)
    return _ratio((of_x * of_y).sum(-1), np.sqrt((of_x**2).sum(-1) * (of_y**2).sum(-1)))


def spearman(x: Floats, y: Floats, groups: Ints) -> Floats:
    """Spearman's rho: the correlation of ranks within groups, tied ones sharing theirs."""
    of_x, of_y = _ranks(x, groups), _ranks(y, groups)
    return _ratio((of_x * of_y).sum(-1), np.sqrt((of_x**2).sum(-1) * (of_y**2).sum(-1)))


def pairs_right(x: Floats, y: Floats, groups: Ints) -> Floats:
    """The share of pairs in the same order; one that is tied in x or in y counts half, in both not."""
    of_x, of_y = _signs(x, groups), _signs(y, groups)
    told = (of_x != 0) | (of_y != 0)
    return _ratio(((1 + of_x * of_y) * told).sum(-1) / 2, told.sum(-1))


def resamples(groups: Ints, rng: np.random.Generator) -> Ints:
    """Places [B, N] of networks, drawn with replacement from the group that stands there (Efron 1979)."""
    drawn = np.empty((_DRAWS, len(groups)), np.int64)
    for group in np.unique(groups):
        (members,) = np.nonzero(groups == group)
        drawn[:, members] = members[rng.integers(len(members), size=(_DRAWS, len(members)))]
    return drawn


def bounded(
    statistic: Statistic, rankings: Sequence[tuple[Floats, Floats]], groups: Ints, drawn: Ints
) -> Bounded:
    """The mean of a figure over pairs of scores [N], with the interval of networks drawn anew.

    Args:
        statistic: the figure.
        rankings: pairs of scores.
        groups: of the networks.
        drawn: of `resamples`.
    """
    value = np.mean([statistic(x, y, groups) for x, y in rankings])
    means = np.mean([statistic(x[drawn], y[drawn], groups) for x, y in rankings], axis=0)
    return Bounded(float(value), *_ends(means))


def lead(statistic: Statistic, x: Floats, other: Floats, y: Floats, groups: Ints, drawn: Ints) -> Bounded:
    """By how much a figure is larger of x and y than of other and y, with the interval as of `bounded`."""
    value = statistic(x, y, groups) - statistic(other, y, groups)
    found = statistic(x[drawn], y[drawn], groups) - statistic(other[drawn], y[drawn], groups)
    return Bounded(float(value), *_ends(found))


def by_lot(statistic: Statistic, y: Floats, groups: Ints, rng: np.random.Generator) -> Bounded:
    """The same of networks that are ranked at random: its mean, and where nine of ten such rankings lie."""
    lots = rng.random((_DRAWS, len(y)))
    found = statistic(
        np.concatenate([lots, -lots]), y, groups
    )  # a ranking and its reverse: the mean is exact
    return Bounded(float(np.mean(found)), *_ends(found))


def worth(x: Floats, y: Floats, groups: Ints, drawn: Ints, *, share: float) -> Worth:
    """The least difference of x from which on the better network of a pair is so often better in y.

    Args:
        x: scores [N] to go by.
        y: scores [N] that they should tell.
        groups: of the networks.
        drawn: of `resamples`, for the interval.
        share: of the pairs that differ by so much or more.
    """
    difference, pairs = _least_difference(x, y, groups, share)
    again = np.sort(_least_difference(x[drawn], y[drawn], groups, share)[0])
    low, high = (float(again[round(quantile * (len(again) - 1))]) for quantile in _QUANTILES)
    return Worth(share, Bounded(float(difference), low, high), int(pairs))


def agreement_by_difference(x: Floats, y: Floats, groups: Ints) -> tuple[Floats, Floats, Ints]:
    """Differences of x, falling; of the pairs that differ by so much or more, which share is right; how many.

    Pairs that are tied in x are left out; one that is tied in y is half right.
    """
    sizes, shares, whole = _by_difference(x, y, groups)
    (places,) = np.nonzero(whole)
    return sizes[places], shares[places], places + 1


def count_pairs(groups: Ints) -> int:
    """How many pairs of networks are compared."""
    return len(_pairs(groups)[0])


def _by_difference(x: Floats, y: Floats, groups: Ints) -> tuple[Floats, Floats, Flags]:
    """[..., P] the pairs by falling difference of x, each with the share that is right among those so far.

    True stands where none that is left differs by as much, unless the difference is none.
    """
    first, second = _pairs(groups)
    gap, other = x[..., first] - x[..., second], np.sign(y[..., first] - y[..., second])
    right = (1 + np.sign(gap) * other) / 2
    order = np.argsort(-np.abs(gap), kind="stable", axis=-1)
    sizes = np.take_along_axis(np.abs(gap), order, -1)
    shares = np.cumsum(np.take_along_axis(right, order, -1), -1) / np.arange(1, len(first) + 1)
    whole = sizes > 0
    whole[..., :-1] &= sizes[..., :-1] > sizes[..., 1:]
    return sizes, shares, whole


def _least_difference(x: Floats, y: Floats, groups: Ints, share: float) -> tuple[Floats, Ints]:
    """And how many pairs differ by so much or more; infinite, of none, where it was not seen."""
    sizes, shares, whole = _by_difference(x, y, groups)
    counts = np.arange(1, sizes.shape[-1] + 1)
    pairs = np.where(whole & (shares >= share - 1e-9) & (counts >= LEAST_PAIRS), counts, 0).max(-1, initial=0)
    # No pair: the place before the first one is the last one, where infinity stands.
    seen = np.append(sizes, np.full((*sizes.shape[:-1], 1), np.inf), -1)
    return np.take_along_axis(seen, (pairs - 1)[..., None], -1)[..., 0], pairs


def _pairs(groups: Ints) -> tuple[Ints, Ints]:
    first, second = np.triu_indices(len(groups), 1)
    same = groups[first] == groups[second]
    return first[same], second[same]


def _signs(x: Floats, groups: Ints) -> Floats:
    """[..., P] which of each pair is the larger one."""
    first, second = _pairs(groups)
    return np.asarray(np.sign(x[..., first] - x[..., second]), np.float64)


def _ranks(x: Floats, groups: Ints) -> Floats:
    """[..., N] ranks within groups, less their mean."""
    ranks = np.empty(x.shape)
    for group in np.unique(groups):
        (members,) = np.nonzero(groups == group)
        ranks[..., members] = rankdata(x[..., members], axis=-1) - (len(members) + 1) / 2
    return ranks


def _ratio(over: Floats, under: Floats) -> Floats:
    ratio: Floats = np.divide(over, under, out=np.full(np.shape(over), np.nan), where=np.asarray(under > 0))
    return ratio


def _ends(found: Floats) -> tuple[float, float]:
    """Of the interval; draws that tell nothing are left out."""
    told = found[np.isfinite(found)]
    if not len(told):
        return float("nan"), float("nan")
    low, high = np.quantile(told, _QUANTILES)
    return float(low), float(high)
