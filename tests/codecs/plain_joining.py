"""People out of limbs and pieces as the text of `nas.codecs.limbs` has it, one step at a time."""

from itertools import combinations, permutations
from math import dist

import numpy as np


def plain_join(scores, affinities, limbs):
    """Every one-to-one pairing is tried; people are sets of (joint, candidate) with their sums."""
    there = scores > 0
    pairs = []
    for limb, (first, second) in enumerate(limbs):
        choices = [
            [(i, j) for i, j in enumerate(order) if there[first, i] and there[second, j]]
            for order in permutations(range(scores.shape[1]))
        ]
        best = max(choices, key=lambda chosen, limb=limb: sum(affinities[limb, i, j] for i, j in chosen))
        pairs += [(affinities[limb, i, j], (first, i), (second, j)) for i, j in best]
    people = [({candidate}, 0.0) for candidate in zip(*np.nonzero(there), strict=True)]
    for affinity, one, other in sorted(pairs, reverse=True):
        holders = [person for person in people if one in person[0] or other in person[0]]
        members = set().union(*(person[0] for person in holders))
        if affinity > 0 and len({joint for joint, _ in members}) == len(members):
            people = [person for person in people if person not in holders]
            people.append((members, sum(person[1] for person in holders) + affinity))
    return people


def plain_pieces(pieces, telling):
    """Pieces {joint: (x, y, ...)}: the nearest two that nothing speaks against are joined, and again."""
    pieces, parts = list(pieces), [[piece] for piece in pieces]
    while True:
        ratios = {}
        for one, other in combinations(range(len(pieces)), 2):
            pair = pieces[one], pieces[other]
            limit = 0.5 * max(map(_diagonal, pair))
            gap = min(dist(a[:2], b[:2]) for a in pair[0].values() for b in pair[1].values())
            apart = any(_speaks_against(set(a), set(b), telling) for a in parts[one] for b in parts[other])
            if limit > 0 and gap <= limit and not apart:
                ratios[one, other] = gap / limit
        if not ratios:
            return pieces
        one, other = min(ratios, key=ratios.get)
        pieces[one] = pieces[one] | pieces.pop(other)
        parts[one] += parts.pop(other)


def _speaks_against(one, other, telling):
    lone = 1 in (len(one), len(other))
    return one & other or (lone and any({*limb} & one and {*limb} & other for limb in telling))


def _diagonal(piece):
    x, y, *_ = zip(*piece.values(), strict=True)
    return dist((min(x), min(y)), (max(x), max(y)))
