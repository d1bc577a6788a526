"""A prior for a model of accuracy: what networks of the same space scored with other weights.

Other weights may be better or worse by much, so that neither their level nor their spread can be relied on,
but what is good there is mostly good here. So accuracy here is modelled as a multiple of what the prior lets
one expect, plus a Gaussian process of what is left (a mean function, as in Rasmussen and Williams, "Gaussian
Processes for Machine Learning", 2.7).
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nas.arrays import Floats
from nas.search.samplers.gaussian_process import Covariance, GaussianProcess, unit_of
from nas.search.samplers.genes import Genes, Genome

LEAST = 10
"""So many networks are a prior at least."""

# The prior counts as so many networks that have followed it, and may be wrong by this share of its spread.
_LIKE = 3.0
_DOUBT = 0.5


@dataclass(frozen=True, eq=False)
class Prior:
    """What networks scored with other weights.

    Args:
        genes: [N, D] of the networks.
        accuracies: [N].
    """

    genes: Genes
    accuracies: Floats

    def of_head(self, head: str, whole: Genome, own: Genome) -> "Prior | None":
        """The part of one head, for a space of it alone; None where its networks are too few to say much.

        Args:
            head: the head.
            whole: of the space that the genes are of.
            own: of the space of that head.
        """
        archs = [whole.build(genes) for genes in self.genes]
        mine = [place for place, arch in enumerate(archs) if arch.head.type == head]
        if len(mine) < LEAST:
            return None
        return Prior(np.stack([own.read(archs[place]) for place in mine]), self.accuracies[mine])


class AccuracyModel(Protocol):
    """What accuracies may be: as `GaussianProcess`."""

    def __call__(self, points: Floats) -> tuple[Floats, Floats]: ...

    def believing(self, points: Floats) -> "AccuracyModel": ...


class Trend:
    """What a prior lets one expect.

    Args:
        points: [N, F] of its networks.
        accuracies: [N].
    """

    def __init__(self, points: Floats, accuracies: Floats) -> None:
        middle, self.unit = unit_of(accuracies)
        values = (accuracies - middle) / self.unit
        self._process = GaussianProcess(Covariance.fit(points, values), points, values, unit=(0.0, 1.0))

    def __call__(self, points: Floats) -> tuple[Floats, Floats]:
        """Means and standard deviations [M], in units of the prior's spread around its mean."""
        return self._process(points)

    def slope(self, points: Floats, accuracies: Floats) -> float:
        """How much of it shows in this run's accuracies [M]: drawn to all of it, never less than nought."""
        expected, _ = self(points)
        expected = expected - expected.mean()
        follows = float(expected @ (accuracies - accuracies.mean()))
        return max(0.0, (_LIKE * self.unit + follows) / (_LIKE + float(expected @ expected)))

    def spread(self, left: Floats, *, least: int) -> tuple[float, float]:
        """Mean and standard deviation of what it leaves [M], as if `least` more had been in doubt."""
        doubt = least * (_DOUBT * self.unit) ** 2
        return float(left.mean()), float(np.sqrt((doubt + len(left) * left.var()) / (least + len(left))))


class GuidedProcess:
    """A trend's share, and a Gaussian process of what is left.

    Args:
        trend: what the prior lets one expect.
        slope: how much of it shows.
        left: what else there is.
    """

    def __init__(self, trend: Trend, slope: float, left: GaussianProcess) -> None:
        self._trend, self._slope, self._left = trend, slope, left

    def __call__(self, points: Floats) -> tuple[Floats, Floats]:
        """Mean [M] and standard deviation [M] at points [M, F]."""
        expected, doubt = self._trend(points)
        means, stds = self._left(points)
        return means + self._slope * expected, np.hypot(stds, self._slope * doubt)

    def believing(self, points: Floats) -> "GuidedProcess":
        """As if its means had been found at further points [M, F]."""
        return GuidedProcess(self._trend, self._slope, self._left.believing(points))
