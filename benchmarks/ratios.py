"""The median of ratios that were timed side by side, with its bounds."""

import numpy as np
from numpy.typing import ArrayLike

DRAWS = 2000


def median_of(ratios: ArrayLike, *, seed: int = 0) -> dict[str, float]:
    """Median of the ratios [N], and `low` and `high` of its 95 % interval (bootstrap)."""
    values = np.asarray(ratios)
    drawn = np.median(np.random.default_rng(seed).choice(values, (DRAWS, len(values))), axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return {
        name: round(float(value), 3)
        for name, value in (("median", np.median(values)), ("low", low), ("high", high))
    }
