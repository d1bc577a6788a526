"""Gains: how much a network of uncertain accuracy and known time may improve on what is known."""

from dataclasses import dataclass

import numpy as np
from scipy.special import erfcx, ndtr

from nas.arrays import Floats


def expected_improvement(mean: Floats, std: Floats, level: Floats | float) -> Floats:
    """How far a normal variable is over a level on average, counting only where it is; of one shape.

    Exact far below the level too, where the usual formula cancels to nought.
    """
    over = (mean - level) / std
    density = np.exp(-0.5 * over**2) / np.sqrt(2 * np.pi)
    above = over * ndtr(over) + density
    below = density * (
        1 + np.minimum(over, 0.0) * np.sqrt(np.pi / 2) * erfcx(np.maximum(-over, 0.0) / np.sqrt(2))
    )
    return np.asarray(std * np.maximum(np.where(over < 0, below, above), 0.0))


@dataclass(frozen=True)
class BudgetGain:
    """Of the best accuracy within a budget.

    Args:
        log_ms: the budget's logarithm.
        level: the best accuracy so far.
    """

    log_ms: float
    level: float

    def __call__(self, mean: Floats, std: Floats, log_ms: Floats) -> Floats:
        """Expected gains [N] of networks; nought over the budget."""
        return np.where(log_ms <= self.log_ms, expected_improvement(mean, std, self.level), 0.0)


@dataclass(frozen=True)
class FrontGain:
    """Of the area under the front, accuracy over the logarithm of time, up to the largest budget.

    The front is a step function: from each step's time on, its accuracy is to be had.

    Args:
        log_ms: the largest budget's logarithm.
        steps: [F] logarithms of times, rising.
        levels: [F] accuracies from there on, rising.
        floor: the accuracy before the first step.
    """

    log_ms: float
    steps: Floats
    levels: Floats
    floor: float

    def __call__(self, mean: Floats, std: Floats, log_ms: Floats) -> Floats:
        """Expected gains [N] of networks; nought over the largest budget."""
        levels = np.concatenate([[self.floor], self.levels])
        ends = np.concatenate([self.steps, [self.log_ms]])
        starts = np.concatenate([[-np.inf], self.steps])
        widths = np.maximum(ends - np.maximum(starts, log_ms[:, None]), 0.0)
        return np.asarray((widths * expected_improvement(mean[:, None], std[:, None], levels)).sum(axis=1))
