"""Positions counted by hand."""

import pytest

from nas.evenly import evenly


@pytest.mark.parametrize(
    ("count", "wanted", "expected"),
    [
        (5, 3, [0, 2, 4]),
        (10, 4, [0, 3, 6, 9]),
        (9, 1, [0]),
        (3, 8, [0, 1, 2]),
        (4, 0, []),
        (0, 4, []),
    ],
)
def test_positions_reach_from_the_first_to_the_last(count: int, wanted: int, expected: list[int]) -> None:
    assert evenly(count, wanted) == expected
