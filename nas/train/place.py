"""Where a supernet's random networks stand between its smallest and its largest."""

from collections.abc import Mapping

from nas.runs.metrics import PLACE_OF_RANDOM

WINDOW = 200
"""Of about so many steps, the latest, a place tells; older ones fade out."""

LEAST_SPAN = 0.01
"""Losses of smallest and largest that differ by a smaller share tell nothing."""

_ROLES = ("smallest", "random", "largest")

Recent = dict[str, list[float]]
"""By head: label losses of smallest, random and largest, summed over steps, each step fading out."""


def place_of_random(smallest: float, random: float, largest: float) -> float | None:
    """Where the label loss of random networks lies: 0 as the smallest's, 1 as the largest's.

    None where the largest is not clearly better than the smallest.
    """
    span = smallest - largest
    return (smallest - random) / span if span > LEAST_SPAN * abs(smallest) else None


def remember(recent: Recent, losses: Mapping[str, float]) -> None:
    """Add a step's losses, by `HEAD/ROLE`, for each head of which all three roles were trained.

    They saw the same images then, at the same resolution: losses of different steps differ by much more.
    """
    for head in [name.removesuffix("/random") for name in losses if name.endswith("/random")]:
        names = [f"{head}/{role}" for role in _ROLES]
        if losses.keys() >= set(names):
            former = recent.get(head, [0.0] * len(names))
            pairs = zip(former, names, strict=True)
            recent[head] = [(1 - 1 / WINDOW) * before + losses[name] for before, name in pairs]


def places(recent: Recent) -> dict[str, float]:
    """`place_of_random/HEAD` of every head for which it can be told."""
    found = {head: place_of_random(*sums) for head, sums in sorted(recent.items())}
    return {f"{PLACE_OF_RANDOM}{head}": place for head, place in found.items() if place is not None}
