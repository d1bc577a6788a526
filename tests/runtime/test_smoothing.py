"""The One Euro filter against values computed by hand."""

import numpy as np
import pytest

from nas.runtime.smoothing import OneEuroFilter, OneEuroSettings

SURE = np.array([True])


def smooth(steady: OneEuroFilter, x: float, *, sure: bool = True, size: float = 10.0) -> float:
    return float(steady(np.array([[x, 0.0]]), np.array([sure]), size=size, seconds=0.1)[0, 0])


def test_at_a_fixed_cutoff_it_is_exponential_smoothing():
    # share = 1 / (1 + 1 / (2 pi 1 Hz 0.1 s)) = 0.385870
    steady = OneEuroFilter(OneEuroSettings(rest_hz=1, speed_hz=0))
    assert smooth(steady, 0) == 0
    assert smooth(steady, 10) == pytest.approx(3.85870, abs=1e-4)
    assert smooth(steady, 10) == pytest.approx(3.85870 + 0.385870 * 6.14130, abs=1e-4)


def test_speed_in_sizes_raises_the_cutoff():
    # 100 px/s, smoothed to 38.587, 3.8587 sizes/s: cutoff 1 + 2 * 3.8587 = 8.7174 Hz, share .845617
    for size, x in ((10.0, 10.0), (100.0, 100.0)):
        steady = OneEuroFilter(OneEuroSettings(rest_hz=1, speed_hz=2, change_hz=1))
        smooth(steady, 0, size=size)
        assert smooth(steady, x, size=size) / x == pytest.approx(0.845617, abs=1e-4)


def test_what_was_not_known_starts_anew():
    steady = OneEuroFilter()
    smooth(steady, 0)
    assert smooth(steady, 50, sure=False) == 50
    assert smooth(steady, 80) == 80
    assert 80 < smooth(steady, 90) < 90


def test_keypoints_do_not_mix():
    steady = OneEuroFilter()
    first, second = np.array([[0.0, 0], [100, 100]]), np.array([[10.0, 0], [100, 100]])
    known = np.array([True, True])
    np.testing.assert_array_equal(steady(first, known, size=50, seconds=0.1), first)
    smoothed = steady(second, known, size=50, seconds=0.1)
    assert 0 < smoothed[0, 0] < 10
    np.testing.assert_array_equal(smoothed[1], [100, 100])


@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_times_that_stand_still_or_jump_do_no_harm(seconds: float):
    steady = OneEuroFilter()
    steady(np.zeros((1, 2)), SURE, size=10, seconds=0.1)
    assert np.isfinite(steady(np.ones((1, 2)), SURE, size=10, seconds=seconds)).all()
