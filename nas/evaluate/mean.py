"""One figure for several sets."""

from collections.abc import Sequence

import numpy as np

from nas.evaluate.by_size import COUNT
from nas.evaluate.validate import NOBODY, Result


def mean_figures(results: Sequence[Result]) -> dict[str, float]:
    """The figures that all sets have, those of single keypoints left out.

    Accuracies are weighted by people, counts added up. Sets that have nobody for a figure do not count in it.
    """
    shared = [
        name
        for name in results[0].figures
        if "/" not in name and all(name in result.figures for result in results)
    ]
    found = {}
    for name in shared:
        if name.startswith(COUNT):
            found[name] = float(sum(result.figures[name] for result in results))
            continue
        known = [result for result in results if result.figures[name] != NOBODY and result.people]
        weights = [result.people for result in known]
        values = [result.figures[name] for result in known]
        found[name] = float(np.average(values, weights=weights)) if known else NOBODY
    return found
