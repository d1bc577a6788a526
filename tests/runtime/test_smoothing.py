"""The One Euro filter against values computed by hand."""

import numpy as np
import pytest

from nas.runtime.smoothing import OneEuroFilter, OneEuroSettings


def through(
    steady: OneEuroFilter, xy: np.ndarray, sure: np.ndarray, *, size: float = 50.0, seconds: float = 0.1
) -> np.ndarray:
    """One person's places."""
    sizes, passed = np.array([size]), np.array([seconds])
    return steady(xy[None], sure[None], ids=[1], sizes=sizes, seconds=passed)[0]


def smooth(steady: OneEuroFilter, x: float, *, sure: bool = True, size: float = 10.0) -> float:
    return float(through(steady, np.array([[x, 0.0]]), np.array([sure]), size=size)[0, 0])


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
    np.testing.assert_array_equal(through(steady, first, known), first)
    smoothed = through(steady, second, known)
    assert 0 < smoothed[0, 0] < 10
    np.testing.assert_array_equal(smoothed[1], [100, 100])


@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_times_that_stand_still_or_jump_do_no_harm(seconds: float):
    steady = OneEuroFilter()
    known = np.array([True])
    through(steady, np.zeros((1, 2)), known)
    assert np.isfinite(through(steady, np.ones((1, 2)), known, seconds=seconds)).all()


def test_people_do_not_mix_whatever_their_order_and_are_forgotten():
    alone, together = [OneEuroFilter(), OneEuroFilter()], OneEuroFilter()
    places = np.array([[[[0.0, 0]], [[100, 0]]], [[[9, 0]], [[140, 0]]], [[[30, 0]], [[150, 0]]]])
    sizes, seconds, known = np.array([10.0, 80.0]), np.array([0.1, 0.2]), np.array([[True], [True]])
    for frame in places:
        expected = [
            through(each, xy, sure, size=size, seconds=passed)
            for each, xy, sure, size, passed in zip(alone, frame, known, sizes, seconds, strict=True)
        ]
        smoothed = together(frame[::-1], known, ids=[2, 1], sizes=sizes[::-1], seconds=seconds[::-1])
        np.testing.assert_array_equal(smoothed[::-1], expected)
    together.keep({2})
    fresh = together(places[0], known, ids=[1, 2], sizes=sizes, seconds=seconds)
    np.testing.assert_array_equal(fresh[0], places[0, 0])
    assert fresh[1, 0, 0] > 100
    assert together(places[0, :0], known[:0], ids=[], sizes=sizes[:0], seconds=seconds[:0]).shape == (0, 1, 2)
