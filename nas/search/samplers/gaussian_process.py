"""Gaussian process regression: what a function may be, given noisy values of it at some points.

Covariance: Matern 5/2 with a length for every feature, found by maximum a posteriori. The lengths' prior
grows with the square root of the number of features, without which tens of points say nothing in tens of
dimensions (Hvarfner, Hellsten, Nardi: "Vanilla Bayesian Optimization Performs Great in High Dimensions",
2024).
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

from nas.arrays import Floats

# Centre and spread of the logarithms of lengths (in units of the root of the dimensions), signal and noise.
_LENGTH, _SIGNAL, _NOISE = (0.0, 1.0), (0.0, 1.0), (-4.0, 1.5)
_LEAST_NOISE = 1e-6
_ITERATIONS = 40


@dataclass(frozen=True)
class Covariance:
    """How values at two points belong together, for values of variance about 1.

    Args:
        lengths: [D] over which the function changes.
        signal, noise: variances.
    """

    lengths: Floats
    signal: float
    noise: float

    @classmethod
    def fit(cls, points: Floats, values: Floats) -> Self:
        """The most probable one for points [N, D] and values [N]."""
        dimensions = points.shape[1]
        centre = np.array([_LENGTH[0] + 0.5 * np.log(dimensions)] * dimensions + [_SIGNAL[0], _NOISE[0]])
        spread = np.array([_LENGTH[1]] * dimensions + [_SIGNAL[1], _NOISE[1]])
        found: Any = minimize(
            _improbability,
            centre,
            args=(points, values, centre, spread),
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(centre - 4 * spread, centre + 4 * spread, strict=True)),
            options={"maxiter": _ITERATIONS},
        )
        return cls(np.exp(found.x[:-2]), float(np.exp(found.x[-2])), float(np.exp(found.x[-1])))

    def between(self, one: Floats, two: Floats) -> Floats:
        """Covariances [N, M] of the function at points [N, D] and [M, D]."""
        distance = _distances(one / self.lengths, two / self.lengths)
        return np.asarray(self.signal * (1 + distance + distance**2 / 3) * np.exp(-distance))


class GaussianProcess:
    """What is known of a function.

    Args:
        covariance: for values less their mean, in units of their standard deviation.
        points: [N, D].
        values: [N].
        unit: that mean and standard deviation, where they are not those of `values`.
    """

    def __init__(
        self,
        covariance: Covariance,
        points: Floats,
        values: Floats,
        *,
        unit: tuple[float, float] | None = None,
    ) -> None:
        self.covariance = covariance
        self._points, self._values = points, values
        self._middle, self._unit = unit or unit_of(values)
        gram = covariance.between(points, points)
        gram[np.diag_indices_from(gram)] += covariance.noise + _LEAST_NOISE
        self._factor = cho_factor(gram, lower=True)
        self._weights = cho_solve(self._factor, (values - self._middle) / self._unit)

    def __call__(self, points: Floats) -> tuple[Floats, Floats]:
        """Mean [M] and standard deviation [M] of the function, without noise, at points [M, D]."""
        cross = self.covariance.between(self._points, points)
        explained = solve_triangular(self._factor[0], cross, lower=True)
        variance = np.maximum(self.covariance.signal - (explained**2).sum(axis=0), 1e-12)
        return self._middle + self._unit * (cross.T @ self._weights), self._unit * np.sqrt(variance)

    def believing(self, points: Floats) -> "GaussianProcess":
        """As if its means had been found at further points [M, D]: near those, little is left to find."""
        if not len(points):
            return self
        means, _ = self(points)
        return GaussianProcess(
            self.covariance,
            np.concatenate([self._points, points]),
            np.concatenate([self._values, means]),
            unit=(self._middle, self._unit),
        )


def unit_of(values: Floats) -> tuple[float, float]:
    """Mean and standard deviation of values [N]; 1 where they are all the same."""
    return float(values.mean()), float(values.std()) or 1.0


def _improbability(
    logarithms: Floats, points: Floats, values: Floats, centre: Floats, spread: Floats
) -> tuple[float, Floats]:
    """The negative logarithm of the posterior, less a constant, and its gradient [D + 2]."""
    scaled = points / np.exp(logarithms[:-2])
    signal, noise = np.exp(logarithms[-2:])
    distance = _distances(scaled, scaled)
    decay = np.exp(-distance)
    shape = (1 + distance + distance**2 / 3) * decay
    gram = signal * shape
    gram[np.diag_indices_from(gram)] += noise + _LEAST_NOISE
    factor = cho_factor(gram, lower=True)
    weights = cho_solve(factor, values)
    prior = (logarithms - centre) / spread
    loss = 0.5 * values @ weights + np.log(np.diag(factor[0])).sum() + 0.5 * prior @ prior

    # d loss / d gram, and times what the gram changes by with a squared distance.
    slope = 0.5 * (cho_solve(factor, np.eye(len(values))) - np.outer(weights, weights))
    pull = slope * (signal * 5 / 3) * (1 + distance) * decay
    of_lengths = 2 * (pull.sum(axis=1) @ scaled**2 - np.einsum("nd,nd->d", scaled, pull @ scaled))
    of_signal, of_noise = signal * (slope * shape).sum(), noise * np.trace(slope)
    return float(loss), np.concatenate([of_lengths, [of_signal, of_noise]]) + prior / spread


def _distances(one: Floats, two: Floats) -> Floats:
    """Distances [N, M] of points [N, D] and [M, D], times the root of five."""
    squares = (one**2).sum(axis=1)[:, None] + (two**2).sum(axis=1) - 2 * one @ two.T
    return np.asarray(np.sqrt(5 * np.maximum(squares, 0.0)))
