"""A part of the calibration images."""

from typing import cast

import pytest

from nas.data import KeypointDataset
from nas.runs.calibration import CalibrationImages


@pytest.mark.parametrize(
    ("images", "expected"),
    [(1, [10]), (2, [10, 19]), (4, [10, 13, 16, 19]), (10, list(range(10, 20))), (64, list(range(10, 20)))],
)
def test_a_part_is_spread_over_the_list(images: int, expected: list[int]) -> None:
    """Sources come one after the other in it: all of them are in the part."""
    whole = CalibrationImages(cast(KeypointDataset, None), range(10, 20), batch=4)
    assert list(whole.part(images).indices) == expected
    assert list(whole.indices) == list(range(10, 20))


def test_there_may_be_none() -> None:
    assert CalibrationImages(cast(KeypointDataset, None), [], batch=4).part(5).indices == ()
