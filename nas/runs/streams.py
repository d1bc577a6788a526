"""The random numbers of a run: independent streams under its one seed."""

import numpy as np

ARCHS, POOL, CALIBRATION = range(3)
"""Of the networks of each step, of the pool that they come from, of the calibration images."""


def generator(seed: int, stream: int, *position: int) -> np.random.Generator:
    """The generator of a stream, or of one position in it."""
    return np.random.default_rng((seed, stream, *position))
