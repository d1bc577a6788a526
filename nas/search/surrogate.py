"""A surrogate of accuracy: Bayesian linear regression over the choices of an architecture.

Accuracy under inherited weights is close to a sum over dimensions, and tens of scored networks are too few
for more. Thompson sampling (one draw of the weights per proposal) balances what is known against what is not.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.search.values import Evaluation
from nas.space import Arch, ArchManager, SearchSpace

NOISE = 0.3
"""Standard deviation of an evaluation around the linear model, in units of the history's own."""
PRIOR = 0.3
"""Standard deviation of a weight, in the same unit."""

Vector = NDArray[np.float64]


class Surrogate:
    """Accuracies as they may be, given a history: one draw from the posterior.

    Args:
        space: of the architectures.
        history: scored networks, at least one.
        rng: of the draw.
    """

    def __init__(self, space: SearchSpace, history: Sequence[Evaluation], rng: np.random.Generator) -> None:
        self._space = space
        self._dimensions = [dimension for dimension in space.dimensions if dimension.elastic]
        features = np.stack([self._features(item.arch) for item in history])
        accuracies = np.array([item.accuracy for item in history])
        target = (accuracies - accuracies.mean()) / max(float(accuracies.std()), 1e-12)
        precision = features.T @ features / NOISE**2 + np.eye(features.shape[1]) / PRIOR**2
        mean = np.linalg.solve(precision, features.T @ target / NOISE**2)
        # With L L' = precision, L'^-1 z has the posterior's covariance.
        spread: Any = np.linalg.solve(np.linalg.cholesky(precision).T, rng.standard_normal(len(mean)))
        self._weights: Vector = mean + spread

    def __call__(self, arch: Arch) -> float:
        """The drawn accuracy of an architecture, in standard deviations of the history."""
        return float(self._features(arch) @ self._weights)

    def _features(self, arch: Arch) -> Vector:
        """A constant, and for every dimension whether it is active and where in its list its choice is."""
        indices = ArchManager(self._space).encode(arch)
        features = np.zeros(1 + 2 * len(self._dimensions))
        features[0] = 1.0
        for position, dimension in enumerate(self._dimensions):
            index = indices.get(dimension.name)
            if index is not None:
                features[1 + 2 * position] = 1.0
                features[2 + 2 * position] = index / (len(dimension.choices) - 1) - 0.5
        return features
