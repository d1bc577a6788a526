"""Grouping by tags as Newell et al. describe it, one pair at a time, with Munkres' own algorithm.

The reference of `nas.codecs.associative_embedding.match_by_tags`, in plain Python.
"""

from collections.abc import Sequence
from math import dist

Row = Sequence[float]
Person = dict[int, Row]
"""The candidate (x, y, score, tags) of each joint."""


def plain_match(candidates: Sequence[Sequence[Row]]) -> list[Person]:
    """People of candidates [K, M, 3 + T]: see `match_by_tags`."""
    people: list[Person] = []
    for joint, every in enumerate(candidates):
        rows = [[float(value) for value in row] for row in every if row[2] > 0.1]
        if not rows:
            continue
        means = [_mean_tag(person) for person in people]
        apart = [[dist(row[3:], mean) for mean in means] for row in rows]
        size = max(len(rows), len(means))
        cost = [[2e3] * size for _ in range(size)]
        for r, line in enumerate(apart):
            for c, d in enumerate(line):
                cost[r][c] = round(d) * 100 - rows[r][2] + 1e-3 * d**2 if d < 1 else 1e3
        owner = {r: c for r, c in munkres(cost) if r < len(rows) and c < len(means) and apart[r][c] < 1}
        for r, row in enumerate(rows):
            if r in owner:
                people[owner[r]][joint] = row
            else:
                people.append({joint: row})
    return people


def _mean_tag(person: Person) -> list[float]:
    tags = [row[3:] for row in person.values()]
    return [sum(values) / len(tags) for values in zip(*tags, strict=True)]


def munkres(cost: Sequence[Row]) -> list[tuple[int, int]]:
    """The cheapest one-to-one pairs (row, column) of a square table.

    Munkres, "Algorithms for the Assignment and Transportation Problems", J. SIAM 5 (1957): zeros are starred
    (chosen) or primed (could be), rows and columns are covered until every row has its star.
    """
    size = len(cost)
    table = [[value - min(row) for value in row] for row in cost]
    star: dict[int, int] = {}
    for r, row in enumerate(table):
        for c, value in enumerate(row):
            if value == 0 and r not in star and c not in star.values():
                star[r] = c
    while len(star) < size:
        covered_columns, covered_rows, prime = set(star.values()), set[int](), dict[int, int]()
        while True:
            zero = _uncovered_zero(table, covered_rows, covered_columns)
            if zero is None:
                _shift(table, covered_rows, covered_columns)
                continue
            row, column = zero
            prime[row] = column
            if row not in star:
                break
            covered_rows.add(row)
            covered_columns.discard(star[row])
        while True:  # along primes and stars in turn: every prime on the way becomes a star
            above = next((r for r, c in star.items() if c == column and r != row), None)
            star[row] = column
            if above is None:
                break
            row, column = above, prime[above]
    return list(star.items())


def _uncovered_zero(table: list[list[float]], rows: set[int], columns: set[int]) -> tuple[int, int] | None:
    for r, row in enumerate(table):
        if r not in rows:
            for c, value in enumerate(row):
                if value == 0 and c not in columns:
                    return r, c
    return None


def _shift(table: list[list[float]], rows: set[int], columns: set[int]) -> None:
    """Make a zero where nothing is covered."""
    least = min(
        value
        for r, row in enumerate(table)
        if r not in rows
        for c, value in enumerate(row)
        if c not in columns
    )
    for r, row in enumerate(table):
        for c in range(len(row)):
            if r in rows and c in columns:
                row[c] += least
            elif r not in rows and c not in columns:
                row[c] -= least
