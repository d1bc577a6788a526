"""Colours of people, and what they are good for where ways cross."""

import numpy as np

from nas.runtime.frames import ColourFrame
from nas.runtime.looks import blended, limb_colours, same_look
from nas.runtime.poses import SeenPoses
from nas.runtime.tracking import LASTING, PoseTracker

LIMBS = ((0, 1), (1, 2))
RED, BLUE = (200.0, 20.0, 20.0), (20.0, 20.0, 200.0)


def look(*colours: tuple[float, ...]) -> np.ndarray:
    """One limb's colour for each person."""
    return np.array(colours).reshape(-1, 1, 3)


def pose(*xs: float) -> SeenPoses:
    """People at these places."""
    return SeenPoses.of(np.array([[(x, 0, 0.9), (x + 40, 80, 0.9)] for x in xs]))


def test_colours_are_read_along_limbs_with_sure_ends():
    pixels = np.zeros((100, 100, 3), np.uint8)
    pixels[:, 40:60] = RED
    frame = ColourFrame(pixels)
    upright = [(50, 10, 0.9), (50, 90, 0.9), (95, 90, 0.9)]
    unsure = [(50, 10, 0.9), (50, 90, 0.1), (95, 90, 0.9)]
    outside = [(-50, 10, 0.9), (50, 500, 0.9), (np.nan, 0, 0.9)]
    colours = limb_colours(frame, SeenPoses.of(np.array([upright, unsure, outside], np.float64)), LIMBS)
    np.testing.assert_allclose(colours[0], [RED, [0, 0, 0]])
    assert np.isnan(colours[1]).all()
    assert np.isfinite(colours[2, 0]).all()
    assert np.isnan(colours[2, 1]).all()
    assert limb_colours(frame, SeenPoses.of(np.zeros((0, 3, 3))), LIMBS).shape == (0, 2, 3)
    assert limb_colours(frame, SeenPoses.of(np.array([upright])), ()).shape == (1, 0, 3)


def test_the_same_colours_are_alike_and_what_is_unknown_tells_nothing():
    unknown = np.full((1, 1, 3), np.nan)
    alike = same_look(np.concatenate([look(RED, BLUE), unknown]), look(RED))
    np.testing.assert_allclose(alike[:, 0], [1, 0, 1], atol=1e-5)
    assert same_look(np.zeros((2, 0, 3)), np.zeros((3, 0, 3))).tolist() == [[1.0] * 3] * 2
    np.testing.assert_array_equal(blended(look(RED), unknown[0], 0.5), look(RED))
    np.testing.assert_array_equal(blended(unknown, look(RED), 0.5), look(RED))
    np.testing.assert_allclose(blended(look(RED), look(BLUE), 0.5), look((110, 20, 110)))


def test_colours_tell_apart_who_stands_in_one_place():
    tracker = PoseTracker((0.1, 0.1))
    assert tracker.update(pose(0, 8), 0.0, looks=look(RED, BLUE)).ids.tolist() == [1, 2]
    # Each now where the other one was.
    assert tracker.update(pose(0, 8), 0.1, looks=look(BLUE, RED)).ids.tolist() == [2, 1]
    assert tracker.update(pose(8), 0.2, looks=look(RED)).ids.tolist() == [1]


def test_other_colours_alone_make_nobody_new():
    tracker = PoseTracker((0.1, 0.1))
    tracker.update(pose(0), 0.0, looks=look(RED))
    assert tracker.update(pose(0), 0.1, looks=look(BLUE)).ids.tolist() == [1]


def test_colours_are_averaged_over_a_while_where_nobody_else_is():
    tracker = PoseTracker((0.1, 0.1))
    tracker.update(pose(0, 300), 0.0, looks=look(RED, RED))
    people = tracker.update(pose(0, 300), LASTING / 2, looks=look(BLUE, BLUE))
    mixed = (np.array(RED) + BLUE) / 2
    np.testing.assert_allclose(people.looks[:, 0], [mixed, mixed])
    people = tracker.update(pose(0, 8), LASTING, looks=look(RED, BLUE))
    np.testing.assert_allclose(people.looks[0, 0], mixed)
