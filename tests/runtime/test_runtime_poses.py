"""Boxes, similarities and doubles of poses, against values computed by hand."""

import numpy as np
import pytest

from nas.codecs import Poses
from nas.runtime.poses import SeenPoses, box_areas, distinct, pose_boxes, sure_keypoints

SIGMAS = (0.1, 0.1, 0.1)
PERSON = np.array([[0.0, 0, 0.9], [10, 20, 0.9], [100, 100, 0.1]])
"""Two sure keypoints: a box of 12.5 x 25 px once it is grown, 312.5 px^2."""


def shifted(x: float) -> np.ndarray:
    return PERSON + np.array((x, 0, 0))


def similarity(found: np.ndarray, others: np.ndarray) -> np.ndarray:
    return SeenPoses.of(found).similarity(SeenPoses.of(others), SIGMAS)


def test_a_box_is_the_grown_extent_of_sure_keypoints():
    line = np.array([[0.0, 0, 0.9], [0, 20, 0.9], [50, 5, 0.0]])
    boxes = pose_boxes(np.stack([PERSON, line]))
    np.testing.assert_allclose(boxes, [[-1.25, -2.5, 11.25, 22.5], [-2.5, -2.5, 2.5, 22.5]])
    np.testing.assert_allclose(box_areas(boxes), [312.5, 125])


def test_where_hardly_a_keypoint_is_sure_all_count():
    unsure = PERSON * (1, 1, 0.1)
    assert sure_keypoints(unsure[None]).all()
    np.testing.assert_allclose(pose_boxes(unsure[None]), [[-12.5, -12.5, 112.5, 112.5]])
    lost = np.full((1, 3, 3), np.nan)
    assert np.isnan(pose_boxes(lost)).all()
    assert similarity(lost, PERSON[None]) == 0
    assert similarity(PERSON[None], lost) == 0
    assert pose_boxes(np.zeros((0, 3, 3))).shape == (0, 4)


def test_similarity_is_that_of_the_keypoints_that_both_are_sure_of():
    # d^2 / (2 sigma)^2 / area / 2 = 9 / .04 / 312.5 / 2
    found = shifted(3) + np.array(((0, 0, 0), (0, 0, 0), (999, 0, 0.8)))
    similar = similarity(np.stack([PERSON, found]), PERSON[None])
    np.testing.assert_allclose(similar, [[1], [np.exp(-0.36)]])
    half = shifted(0) + np.array(((0, 0, 0), (5, 0, 0), (0, 0, 0)))
    expected = (1 + np.exp(-25 / 25)) / 2
    np.testing.assert_allclose(similarity(half[None], PERSON[None]), [[expected]])


def test_of_doubles_the_best_stays():
    # exp(-1 / 25) = .96 and exp(-9 / 25) = .70 like the first; the last two are exp(-4 / 25) = .85 alike.
    keypoints = np.stack([shifted(1), shifted(0), shifted(3)])
    rows = distinct(Poses(keypoints, np.array([0.5, 0.9, 0.4])), sigmas=SIGMAS)
    assert rows.tolist() == [1, 2]
    rows = distinct(Poses(keypoints, np.array([0.95, 0.9, 0.4])), sigmas=SIGMAS)
    assert rows.tolist() == [0]
    assert distinct(Poses(keypoints, np.ones(3)), sigmas=SIGMAS, same=0.99).tolist() == [0, 1, 2]
    assert distinct(Poses(np.zeros((0, 3, 3)), np.zeros(0)), sigmas=SIGMAS).shape == (0,)


@pytest.mark.parametrize("copies", [2, 5])
def test_equal_poses_of_equal_scores_are_one(copies: int):
    poses = Poses(np.stack([PERSON] * copies), np.full(copies, 0.5))
    assert distinct(poses, sigmas=SIGMAS).tolist() == [0]
