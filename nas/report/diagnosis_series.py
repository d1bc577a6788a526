"""What the plots of a diagnosis show: networks by bin, and what differences of accuracy are worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.search.diagnosis.statistics import LEAST_PAIRS, agreement_by_difference

Networks = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class TimeBin:
    """Networks of nearly the same time; without a number those that are in no bin.

    Args:
        members: by rising inherited accuracy.
    """

    number: int | None
    members: Networks

    @property
    def name(self) -> str:
        """For a legend."""
        if self.number is None:
            return "other networks"
        ms = np.exp(np.mean(np.log([row["predicted_ms"] for row in self.members])))
        return f"bin at {ms:.3g} ms"


@dataclass(frozen=True)
class AgreementLine:
    """Which share of pairs is right, by falling difference.

    Args:
        name: of the pairs.
        points: difference, share and number of the pairs that differ by so much or more; few tell nothing.
    """

    name: str
    points: Sequence[tuple[float, float, int]]


def by_bin(rows: Networks) -> list[TimeBin]:
    """The bins in order, and what is in none behind them."""
    numbers = sorted({row["bin"] for row in rows}, key=lambda number: (number is None, number))
    ordered = sorted(rows, key=lambda row: float(row["inherited"]))
    return [TimeBin(number, [row for row in ordered if row["bin"] == number]) for number in numbers]


def agreements(rows: Networks) -> list[AgreementLine]:
    """Of all pairs, and of those within a bin."""
    binned = [row for row in rows if row["bin"] is not None]
    return [
        _agreement("all pairs", rows, [0] * len(rows)),
        _agreement("pairs within a bin", binned, [row["bin"] for row in binned]),
    ]


def _agreement(name: str, rows: Networks, groups: Sequence[int]) -> AgreementLine:
    x, y = (np.array([row[key] for row in rows], np.float64) for key in ("inherited", "alone_mean"))
    found = zip(*agreement_by_difference(x, y, np.array(groups, np.int64)), strict=True)
    return AgreementLine(
        name,
        [(float(size), float(share), int(pairs)) for size, share, pairs in found if pairs >= LEAST_PAIRS],
    )
