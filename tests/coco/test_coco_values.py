"""Values as files write them."""

import math
from typing import Any

import numpy as np
import pytest

from nas.coco.values import flag, listed, number, numbers, whole


@pytest.mark.parametrize(
    ("value", "expected"),
    [(7, 7), (7.0, 7), ("7", 7), ("000042", 42), (" -3 ", -3), (0, 0), (-(2**63), -(2**63))],
)
def test_whole_numbers(value: Any, expected: int) -> None:
    assert whole(value) == expected


@pytest.mark.parametrize(
    "value", [None, True, 7.5, "7.0", "x", "", "1" * 30, 2**63, 1e300, math.nan, math.inf, [7], {"a": 7}]
)
def test_what_is_no_whole_number(value: Any) -> None:
    assert whole(value) is None


def test_flags() -> None:
    assert [flag(value) for value in (0, 0.0, "0", "false", "", None, False)] == [False] * 7
    assert [flag(value) for value in (1, 1.0, "1", "True", True)] == [True] * 5
    assert [flag(value) for value in (2, -1, 0.5, "no way", [], [1], {}, math.nan)] == [None] * 8


def test_numbers() -> None:
    assert [number(value) for value in (1, 1.5, True, "1", None, math.nan, 10**400)] == [1, 1.5] + [None] * 5
    np.testing.assert_array_equal(numbers([1, 2.5, None]), [1, 2.5, math.nan])
    assert [numbers(value) for value in (None, 3, "12", ["1"], [True], [[1]], [10**400])] == [None] * 7


def test_names_are_printable() -> None:
    shown = listed(["cat", "a\nb", "\ud800", "x" * 500, None, *map(str, range(30))])
    assert shown.isprintable()
    assert shown.startswith("cat, 'a\\nb'")
    assert shown.endswith("and 15 more")
    assert len(shown) < 500
