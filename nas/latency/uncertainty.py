"""How far a prediction can be trusted: wider for networks unlike the measured ones, calibrated by conformal
prediction (Vovk; Lei et al., "Distribution-free predictive inference") on held-out networks."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.optimize import nnls

from nas.arrays import Floats
from nas.documents import Fields
from nas.errors import UserError
from nas.latency.kernels import Kernel
from nas.timing.protocol import Visit
from nas.timing.timing import Timing

# By how much a label is too long where others use all of the processor. Measured at 91 %: the labels of nine
# in ten networks lay within 8 to 15 % of the quiet ones, half of them 5 % above (results/latency).
_FULL_LOAD = 0.16
OTHER_RUNTIME = 0.05
"""By how much networks may differ between one onnxruntime and another on the same machine. Between 1.31.1 and
1.32.0 the medians differ by at most 1 %, single networks by no more than one version from itself, 3 to 7 %
(results/latency); this leaves room for a release that changes a kernel."""

# A kernel this far from any measured one (in powers of two of its numbers) is as strange as one can be.
_FARTHEST = 4.0
_LEAST_BASE = 1e-4
# Held-out networks resemble the measured ones and say little of strangers: an error of 10 % for every factor
# of two that kernels are apart is expected in any case.
_LEAST_SLOPE = 0.1


class Novelty:
    """How unlike kernels are to the measured ones of their kind.

    Args:
        known: kind -> numbers [M, F] of the measured kernels.
    """

    def __init__(self, known: Mapping[str, Floats]) -> None:
        self._known = known

    @classmethod
    def of(cls, kernels: Sequence[Kernel]) -> Self:
        """Of the measured kernels."""
        known: defaultdict[str, set[tuple[float, ...]]] = defaultdict(set)
        for kernel in kernels:
            known[kernel.kind].add(_numbers(kernel))
        return cls({kind: np.array(sorted(numbers)) for kind, numbers in sorted(known.items())})

    def joined(self, other: "Novelty") -> "Novelty":
        """To the kernels that either of two knows."""
        known = dict(self._known)
        for kind, numbers in other._known.items():
            rows = np.concatenate([known[kind], numbers]) if kind in known else numbers
            known[kind] = np.unique(rows, axis=0)
        return Novelty(dict(sorted(known.items())))

    def __call__(self, kernels: Sequence[Kernel]) -> Floats:
        """Distances [N] to the nearest measured kernel: the mean difference of log2 numbers, from 0 to 4."""
        return np.array([self._of(kernel) for kernel in kernels])

    def _of(self, kernel: Kernel) -> float:
        known = self._known.get(kernel.kind)
        if known is None:
            return _FARTHEST
        return min(_FARTHEST, float(np.abs(known - _numbers(kernel)).mean(axis=1).min()))

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {kind: numbers.tolist() for kind, numbers in self._known.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`. Raises UserError for what are no kernels' numbers."""
        fields = Fields(values, "novelty")
        return cls({kind: _rows(fields, kind) for kind in fields.names})


@dataclass(frozen=True)
class Uncertainty:
    """Relative errors to expect.

    Args:
        base, slope: the usual error of a network is base + slope * its novelty.
        scores: sorted errors of held-out networks over their usual error.
        loaded: by how much load may have lengthened the times that were fitted to, see `load_allowance`.
            Held-out networks do not tell: where all of them were timed under load, all are too long alike.
    """

    base: float
    slope: float
    scores: tuple[float, ...]
    loaded: float = 0.0

    @classmethod
    def from_json(cls, values: Mapping[str, Any], *, loaded: float) -> Self:
        """Of `vars`; `loaded` stands in for what files of older versions do not tell.

        Raises UserError `uncertainty.field: what is wrong`.
        """
        fields = Fields(values, "uncertainty")
        fields.known(("base", "slope", "scores", "loaded"))
        base, slope = fields.number("base", least=0), fields.number("slope", least=0)
        if "loaded" in fields.names:
            loaded = fields.number("loaded", least=0)
        return cls(base, slope, fields.numbers("scores", least=0), loaded)

    @classmethod
    def of(cls, errors: Floats, novelty: Floats, *, loaded: float = 0.0) -> Self:
        """From relative errors [N] of held-out networks, and how novel these were [N]."""
        size = np.abs(errors)
        matrix = np.stack([np.ones_like(novelty), novelty], axis=1)
        (base, slope), _ = nnls(matrix, size)
        base, slope = max(float(base), _LEAST_BASE), max(float(slope), _LEAST_SLOPE)
        scores = np.sort(size / (base + slope * novelty))
        return cls(base, slope, tuple(np.round(scores, 4).tolist()), loaded)

    def relative(self, novelty: Floats, *, coverage: float) -> Floats:
        """The error [N] that networks of this novelty [N] stay below with this probability.

        Of n held-out networks the ceil((n + 1) * coverage)-th smallest score is taken, which makes the bound
        hold for any distribution of errors; the largest where n is too small for that. What load may have
        added to the labels comes on top.
        """
        count = len(self.scores)
        rank = min(count, int(np.ceil((count + 1) * coverage))) - 1
        return np.asarray(self.scores[rank] * (self.base + self.slope * novelty) + self.loaded)


def load_allowance(timings: Sequence[Timing]) -> float:
    """By how much load may have lengthened the labels of timed networks: the mean over all their visits.

    A quiet visit counts as 0; one that was taken under load by the share of the processor that others had.
    """
    visits = [visit for timing in timings for visit in timing.visits]
    shares = [_share(visit) for visit in visits if visit.loaded]
    return _FULL_LOAD * sum(shares) / len(visits) if visits else 0.0


def share_allowance(share: float) -> float:
    """As `load_allowance`, where only the share of networks that were timed under load is known."""
    return _FULL_LOAD * share


def _share(visit: Visit) -> float:
    return 1.0 if visit.foreign_load is None else min(1.0, visit.foreign_load)


def _rows(fields: Fields, kind: str) -> Floats:
    rows, width = fields.get(kind), len(Kernel._fields) - 1
    if not isinstance(rows, list) or not rows:
        raise UserError(f"{fields.place}.{kind}: expected rows of {width} numbers")
    numbers = [Fields({"row": row}, f"{fields.place}.{kind}").numbers("row", count=width) for row in rows]
    return np.array(numbers, float)


def _numbers(kernel: Kernel) -> tuple[float, ...]:
    """What kernels of a kind are told apart by."""
    shape = np.log2(1.0 + np.array(kernel[1:9], float))
    return tuple(np.round([*shape, *kernel[9:]], 2).tolist())
