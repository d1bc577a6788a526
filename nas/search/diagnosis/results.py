"""What a diagnosis comes to, as plain data."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from nas.arrays import Floats, Ints
from nas.search.diagnosis.picking import PickedNetwork
from nas.search.diagnosis.statistics import (
    ENOUGH,
    Statistic,
    bounded,
    by_lot,
    count_pairs,
    kendall,
    lead,
    pairs_right,
    resamples,
    spearman,
    worth,
)

SHARES = (0.75, ENOUGH, 0.95)
"""Of pairs that are right: for these it is told what a difference is worth."""

_STATISTICS: Mapping[str, Statistic] = {
    "pairs_right": pairs_right,
    "kendall": kendall,
    "spearman": spearman,
}

Figures = dict[str, Any]


def diagnosis_figures(
    networks: Sequence[PickedNetwork],
    inherited: Mapping[str, float],
    alone: Mapping[str, Sequence[float]],
) -> Figures:
    """Networks with their scores, and how well rankings agree: over all, of one head, and within bins.

    `networks` are those that were trained, by rising milliseconds, with as many seeds as all of them have.
    Rankings are compared with the mean over seeds, and with one seed (the mean over them). Another seed is
    compared with one as well, the ceiling: what training all networks once more would tell.

    Args:
        networks: that were picked.
        inherited: accuracy with the supernet's weights, by arch id.
        alone: accuracies of those that were trained alone, one for each seed.
    """
    trained = [network for network in networks if alone.get(network.arch.id)]
    trained.sort(key=lambda network: network.predicted_ms)
    seeds = min((len(alone[network.arch.id]) for network in trained), default=0)
    rows: list[Figures] = [
        {
            "arch": network.arch.id,
            "predicted_ms": network.predicted_ms,
            "macs": network.macs,
            "bin": network.bin,
            "head": network.arch.head.type,
            "inherited": float(inherited[network.arch.id]),
            "alone": [float(value) for value in alone[network.arch.id][:seeds]],
            "alone_mean": float(np.mean(alone[network.arch.id][:seeds])),
        }
        for network in trained
    ]
    binned = [row for row in rows if row["bin"] is not None]
    heads, head = np.unique([row["head"] for row in rows], return_inverse=True)
    return {
        "seeds": seeds,
        "seed_difference": _seed_difference(rows) if seeds > 1 else None,
        "networks": rows,
        "overall": _scope(rows, np.zeros(len(rows), np.int64)),
        "within_heads": _scope(rows, head.astype(np.int64)) if len(heads) > 1 else None,
        "within_bins": _scope(binned, np.array([row["bin"] for row in binned], np.int64)),
    }


def _scope(rows: Sequence[Figures], groups: Ints) -> Figures | None:
    """Rankings of these networks within groups; None where there is no pair."""
    pairs = count_pairs(groups)
    if not pairs:
        return None
    rng = np.random.default_rng(0)
    drawn = resamples(groups, rng)
    alone: Floats = np.array([row["alone"] for row in rows]).T
    mean: Floats = np.array([row["alone_mean"] for row in rows])
    scores = {
        name: np.array([row[name] for row in rows], np.float64)
        for name in ("inherited", "macs", "predicted_ms")
    }
    rankings: Figures = {
        name: {
            "mean": _agreement([(x, mean)], groups, drawn),
            "one_seed": _agreement([(x, one) for one in alone], groups, drawn),
        }
        for name, x in scores.items()
    }
    lots = {name: by_lot(figure, mean, groups, rng).to_json() for name, figure in _STATISTICS.items()}
    rankings["random"] = {"mean": lots, "one_seed": None}
    both = list(combinations(alone, 2))
    rankings["another_seed"] = {"mean": None, "one_seed": _agreement(both, groups, drawn) if both else None}
    found = [worth(scores["inherited"], mean, groups, drawn, share=share) for share in SHARES]
    return {
        "networks": len(rows),
        "pairs": pairs,
        "rankings": rankings,
        "lead_in_tau": {
            name: lead(kendall, scores["inherited"], scores[name], mean, groups, drawn).to_json()
            for name in ("macs", "predicted_ms")
        },
        "worth": [
            {"share": item.share, "difference": item.difference.to_json(), "pairs": item.pairs}
            for item in found
        ],
    }


def _agreement(rankings: Sequence[tuple[Floats, Floats]], groups: Ints, drawn: Ints) -> Figures:
    """Every figure of pairs of scores."""
    return {name: bounded(figure, rankings, groups, drawn).to_json() for name, figure in _STATISTICS.items()}


def _seed_difference(rows: Sequence[Figures]) -> float:
    """By how much two trainings of one network differ on average."""
    return float(np.mean([abs(a - b) for row in rows for a, b in combinations(row["alone"], 2)]))
