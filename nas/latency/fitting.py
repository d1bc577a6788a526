"""Fitting latency features to timings, and how well that holds for networks that were held out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.stats import spearmanr

FOLDS = 5
REPEATS = 4

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class HeldOut:
    """Errors on networks that were held out of the fit; relative to the measured time.

    Args:
        mape: mean absolute error.
        maximum: largest absolute error.
        within_5, within_10: share of predictions within 5 % and 10 %.
        spearman: rank correlation of predicted and measured.
    """

    mape: float
    maximum: float
    within_5: float
    within_10: float
    spearman: float

    @classmethod
    def of(cls, predicted: Floats, measured: Floats) -> Self:
        """The errors of predictions [R, N] (R repeats) or [N] of measured times [N]."""
        errors = np.abs(np.atleast_2d(predicted) / measured - 1)
        ranks = [spearmanr(row, measured).statistic for row in np.atleast_2d(predicted)]
        return cls(
            mape=float(errors.mean()),
            maximum=float(errors.max()),
            within_5=float((errors <= 0.05).mean()),
            within_10=float((errors <= 0.10).mean()),
            spearman=float(np.mean(ranks)),
        )

    def to_json(self) -> dict[str, float]:
        """Plain values for a JSON file."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(**values)


def design(rows: Sequence[Mapping[str, float]]) -> tuple[tuple[str, ...], Floats]:
    """Feature names, sorted, and the matrix [N, F] of their amounts."""
    names = tuple(sorted({name for row in rows for name in row}))
    return names, np.array([[row.get(name, 0.0) for name in names] for row in rows])


def fit_weights(matrix: Floats, measured: Floats) -> Floats:
    """Non-negative weights [F] that minimise the squared relative error of matrix [N, F] @ weights.

    The columns are brought to one scale first, which conditions the solver and leaves the solution as it is.
    """
    relative = matrix / measured[:, None]
    scale = relative.max(axis=0)
    scale[scale == 0] = 1.0
    weights, _ = nnls(relative / scale, np.ones(len(measured)))
    return np.asarray(weights / scale)


def fit_line(macs: Floats, measured: Floats) -> Floats:
    """Intercept and slope [2] of time over MACs, of least squared relative error: the usual baseline."""
    columns = np.stack([np.ones_like(macs), macs], axis=1) / measured[:, None]
    return np.asarray(np.linalg.lstsq(columns, np.ones(len(measured)), rcond=None)[0])


def predict_held_out(
    matrix: Floats, macs: Floats, measured: Floats, *, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Predictions [R, N] by fits that did not see the network: of the features, and of the MACs baseline."""
    count = len(measured)
    by_features, by_macs = np.empty((2, REPEATS, count))
    for repeat in range(REPEATS):
        for held_out in np.array_split(rng.permutation(count), min(FOLDS, count)):
            seen = np.setdiff1d(np.arange(count), held_out)
            by_features[repeat, held_out] = matrix[held_out] @ fit_weights(matrix[seen], measured[seen])
            intercept, slope = fit_line(macs[seen], measured[seen])
            by_macs[repeat, held_out] = intercept + slope * macs[held_out]
    return by_features, by_macs
