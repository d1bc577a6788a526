"""Which networks are trained alone: some over all predicted milliseconds, several of nearly the same."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from nas.arrays import Floats, Ints
from nas.errors import UserError
from nas.search.values import BatchCost
from nas.space import Arch, SearchSpace
from nas.train.pool import spread_archs

_POOL = 2000
_SPREAD_EVERY = 3
_GOLDEN = (5**0.5 - 1) / 2
"""Multiples of it, less their whole parts, are spread evenly however many there are (Weyl 1916)."""


@dataclass(frozen=True)
class PickRule:
    """By what networks are picked; for the fields see `DiagnosisSettings`."""

    bins: int = 2
    bin_width: float = 0.04
    max_ms: float | None = None
    heads: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True)
class PickedNetwork:
    """A network to train alone.

    Args:
        arch: the architecture.
        predicted_ms: when it was picked.
        macs: of one run.
        bin: that its milliseconds lie in (0-based); None where they lie in none.
    """

    arch: Arch
    predicted_ms: float
    macs: int
    bin: int | None

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "arch": self.arch.to_json()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(**{**data, "arch": Arch.from_json(data["arch"])})


def pick_networks(
    space: SearchSpace,
    rule: PickRule,
    *,
    count: int,
    known: Sequence[PickedNetwork] = (),
    predict: BatchCost,
    macs: Callable[[Arch], int],
) -> tuple[PickedNetwork, ...]:
    """`count` networks, those that are known first; more of them go on where fewer ended.

    One of three is spread over the logarithm of predicted milliseconds, from the cheapest of many that are
    drawn to the most expensive. The others fill the bins, which lie evenly on the same scale, by turns.

    Raises:
        UserError: too few networks in the space, or in a bin; bins that overlap.
    """
    pool = _Pool(space.narrow(heads=rule.heads) if rule.heads else space, rule, predict)
    picked = {network.arch: network for network in known}
    for slot in range(len(picked), count):
        turn, place = divmod(slot, _SPREAD_EVERY)
        if place == 0:
            index = pool.spread(turn, picked)
        else:
            index = pool.in_bin((slot - turn - 1) % rule.bins, picked)
        arch, ms = pool.archs[index], float(pool.ms[index])
        picked[arch] = PickedNetwork(arch, ms, macs(arch), pool.bin_of(ms))
    return tuple(picked.values())


class _Pool:
    """Networks of a space, drawn to be spread over what they cost, with their predicted milliseconds."""

    def __init__(self, space: SearchSpace, rule: PickRule, predict: BatchCost) -> None:
        archs = list(dict.fromkeys(spread_archs(space, np.random.default_rng(rule.seed), _POOL)))
        ms = predict(archs)
        allowed = np.ones(len(archs), bool) if rule.max_ms is None else ms <= rule.max_ms
        if not allowed.any():
            raise UserError(
                f"`max_ms`: the cheapest of {len(archs)} networks takes {ms.min():.3g} ms; give more"
            )
        self.ms: Floats = ms[allowed]
        self.archs = [arch for arch, kept in zip(archs, allowed, strict=True) if kept]
        self._scale = np.log(self.ms)
        self._low, self._high = self._scale.min(), self._scale.max()
        self._half = np.log1p(rule.bin_width) / 2
        self._centres = self._low + (np.arange(rule.bins) + 0.5) / rule.bins * (self._high - self._low)
        if rule.bins > 1 and np.diff(self._centres).min() < 2 * self._half:
            raise UserError(
                f"`bins`: {rule.bins} of {rule.bin_width:.0%} do not fit between {self.ms.min():.3g} and "
                f"{self.ms.max():.3g} ms; give fewer, or a narrower `bin_width`"
            )
        self._members = [self._shuffled(number, rule.seed) for number in range(rule.bins)]

    def bin_of(self, ms: float) -> int | None:
        """The bin that these milliseconds lie in."""
        away = np.abs(self._centres - np.log(ms))
        return int(away.argmin()) if away.min() <= self._half else None

    def spread(self, turn: int, taken: dict[Arch, PickedNetwork]) -> int:
        """The free network that is nearest to the place of this turn."""
        place = float(turn) if turn < 2 else (turn - 1) * _GOLDEN % 1
        wanted = self._low + place * (self._high - self._low)
        nearest = np.argsort(np.abs(self._scale - wanted), kind="stable")
        return self._first(nearest, taken, "among those drawn; give fewer")

    def in_bin(self, number: int, taken: dict[Arch, PickedNetwork]) -> int:
        """A free network of a bin."""
        low, high = np.exp(self._centres[number] + self._half * np.array([-1, 1]))
        return self._first(
            self._members[number],
            taken,
            f"of {low:.3g} to {high:.3g} ms among those drawn; give fewer, or a larger `bin_width`",
        )

    def _first(self, order: Ints, taken: dict[Arch, PickedNetwork], where: str) -> int:
        for index in order.tolist():
            if self.archs[index] not in taken:
                return int(index)
        raise UserError(f"`networks`: there are only {len(order)} {where}")

    def _shuffled(self, number: int, seed: int) -> Ints:
        (members,) = np.nonzero(np.abs(self._scale - self._centres[number]) <= self._half)
        return np.random.default_rng((seed, number)).permutation(members)
