"""From keypoints to people: limbs hold keypoints together, nearness the pieces that no limb joins."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from nas.arrays import Flags, Floats
from nas.codecs.limb_sets import Limbs

NEAR = 0.5
"""Pieces are near whose nearest keypoints are half of the larger one's diagonal apart, or less."""

Person = tuple[list[tuple[int, int]], float]
"""(keypoint, candidate) of each found keypoint, and the sum of its limbs' affinities."""


def join_limbs(scores: NDArray[np.floating], affinities: NDArray[np.floating], limbs: Limbs) -> list[Person]:
    """Candidates joined into people.

    For each limb the pairs of the greatest total affinity are taken, no candidate twice (Cao et al. 2017,
    equations 13 to 16); then, from the strongest to the weakest pair of all limbs, what two candidates belong
    to becomes one person unless both have the same keypoint already. Cao et al. follow a tree of limbs; this
    needs no order and makes use of limbs that close a cycle.

    Args:
        scores: [K, M], of candidates; 0 where there is none.
        affinities: [L, M, M].
        limbs: the two keypoints of each.
    """
    people: dict[int, Person] = {}
    owner: dict[tuple[int, int], int] = {}
    for number, (joint, candidate) in enumerate(np.argwhere(scores > 0).tolist()):
        people[number] = [(joint, candidate)], 0.0
        owner[joint, candidate] = number
    for affinity, limb, start, end in _connections(scores, affinities, limbs):
        one, other = owner[limbs[limb][0], start], owner[limbs[limb][1], end]
        members, support = people[one]
        if one == other:
            people[one] = members, support + affinity
            continue
        others, other_support = people[other]
        if {joint for joint, _ in members} & {joint for joint, _ in others}:
            continue
        people[one] = members + others, support + other_support + affinity
        del people[other]
        owner.update(dict.fromkeys(others, one))
    return list(people.values())


def _connections(
    scores: NDArray[np.floating], affinities: NDArray[np.floating], limbs: Limbs
) -> list[tuple[float, int, int, int]]:
    """(affinity, limb, candidate of its first, of its second keypoint), the strongest first."""
    connections = []
    for limb, (first, second) in enumerate(limbs):
        both = (scores[first] > 0)[:, None] & (scores[second] > 0)
        table = np.where(both & np.isfinite(affinities[limb]), affinities[limb], 0).clip(min=0)
        rows, columns = np.flatnonzero(table.any(1)), np.flatnonzero(table.any(0))
        table = table[np.ix_(rows, columns)]
        for row, column in zip(*linear_sum_assignment(table, maximize=True), strict=True):
            if table[row, column] > 0:
                connections.append((float(table[row, column]), limb, int(rows[row]), int(columns[column])))
    return sorted(connections, key=lambda connection: -connection[0])


def join_pieces(pieces: list[Person], points: NDArray[np.floating], telling: Limbs = ()) -> list[Person]:
    """Pieces joined that have no keypoint in common and are near, the nearest (for their size) first.

    Where a keypoint is hidden, no chain of limbs may hold what is left of a person together: of COCO's people
    in groups, 18 % are labelled in several pieces of a skeleton's limbs.

    Args:
        pieces: as `join_limbs` returns them; lone keypoints have no size and join larger pieces only.
        points: [K, M, 3] the candidates' x, y (px), score.
        telling: limbs that speak against a lone keypoint's joining a piece, where they lead from the one to
            the other and have not joined them.
    """
    if len(pieces) < 2:
        return pieces
    index = np.array([member for members, _ in pieces for member in members])
    first = np.cumsum([0] + [len(members) for members, _ in pieces[:-1]])
    has = np.zeros((len(pieces), len(points)), np.float32)
    has[np.repeat(np.arange(len(pieces)), np.diff(first, append=len(index))), index[:, 0]] = 1
    free = (has @ has.T == 0) & ~_told_apart(has, telling)
    if not free.any():
        return pieces
    places = points[index[:, 0], index[:, 1], :2]
    low, high = np.minimum.reduceat(places, first), np.maximum.reduceat(places, first)
    apart = np.hypot(*(places[:, None] - places).transpose(2, 0, 1))
    gaps = np.minimum.reduceat(np.minimum.reduceat(apart, first, axis=0), first, axis=1)
    sizes = np.hypot(*(high - low).T)
    ratios = _ratios(gaps, np.maximum(sizes[:, None], sizes), free)
    people = dict(enumerate(pieces))
    while True:
        one, other = divmod(int(ratios.argmin()), len(pieces))
        if ratios[one, other] > NEAR:
            return list(people.values())
        members, support = people.pop(other)
        people[one] = people[one][0] + members, people[one][1] + support
        low[one], high[one] = np.minimum(low[one], low[other]), np.maximum(high[one], high[other])
        sizes[one] = np.hypot(*(high[one] - low[one]))
        gaps[one] = gaps[:, one] = np.minimum(gaps[one], gaps[other])
        free[one] = free[:, one] = free[one] & free[other]
        free[other] = free[:, other] = False
        ratios[one] = ratios[:, one] = _ratios(gaps[one], np.maximum(sizes[one], sizes), free[one])
        ratios[other] = ratios[:, other] = np.inf


def _told_apart(has: NDArray[np.float32], telling: Limbs) -> Flags:
    """[N, N] True for pieces [N, K] of which one is a lone keypoint and a limb leads to the other."""
    linked = np.zeros((has.shape[1], has.shape[1]), np.float32)
    for start, end in telling:
        linked[start, end] = linked[end, start] = 1
    lone = has.sum(1) == 1
    told: Flags = (has @ linked @ has.T > 0) & (lone[:, None] | lone)
    return told


def _ratios(gaps: Floats, sizes: Floats, free: Flags) -> Floats:
    """Gaps over sizes; infinite where pieces may not be joined, or are points."""
    return np.divide(gaps, sizes, out=np.full_like(gaps, np.inf), where=free & (sizes > 0))
