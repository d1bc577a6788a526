"""Some of many, evenly spread."""

import numpy as np


def evenly(count: int, wanted: int) -> list[int]:
    """Positions of at most so many of a list of `count`, from its first to its last."""
    places: list[int] = np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(int)).tolist()
    return places
