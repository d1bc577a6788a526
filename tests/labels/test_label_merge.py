"""Given joints and a network's: what stays, what is filled, what is dropped, written down by hand."""

import numpy as np
import pytest

from nas.labels import MergedJoints, MergeSettings, merge_joints
from nas.labels.merge import covered, labels_of, match_poses, overlaps

SCALE = 100.0
SIZE = (300, 400)
GIVEN = np.array(
    [
        [10.0, 10, 2],  # confirmed
        [100, 100, 2],  # contradicted by a sure joint
        [0, 0, 0],  # missing, seen
        [200, 200, 1],  # contradicted by an unsure joint
        [0, 0, 0],  # missing, hardly seen
        [150, 50, 2],  # not seen
        [0, 0, 0],  # missing, seen outside the image
        [60, 60, 1],  # confirmed, at the very edge of what is near
    ]
)
POSE = np.array(
    [
        [15.0, 10, 0.9],
        [180, 100, 0.7],
        [50, 60, 0.8],
        [260, 200, 0.55],
        [30, 30, 0.4],
        [300, 250, 0.0],
        [410, 60, 0.9],
        [60, 90, 0.9],
    ]
)
MERGED = [
    [10, 10, 2],
    [0, 0, 0],
    [50, 60, 2],
    [200, 200, 1],
    [0, 0, 0],
    [150, 50, 2],
    [0, 0, 0],
    [60, 60, 1],
]


def merge(settings: MergeSettings, given: np.ndarray = GIVEN) -> MergedJoints:
    return merge_joints(given, POSE, scale=SCALE, size=SIZE, least=0.5, settings=settings)


def test_each_joint_becomes_what_is_written_down() -> None:
    merged = merge(MergeSettings(far=0.3, sure=0.6, same=0.5))
    assert merged.taken
    assert merged.keypoints.tolist() == MERGED
    assert np.flatnonzero(merged.confirmed).tolist() == [0, 7]
    assert np.flatnonzero(merged.dropped).tolist() == [1]
    assert np.flatnonzero(merged.filled).tolist() == [2]


def test_a_surer_network_drops_more_and_a_stricter_one_less() -> None:
    assert np.flatnonzero(merge(MergeSettings(sure=0.55, same=0.5)).dropped).tolist() == [1, 3]
    assert not merge(MergeSettings(sure=0.71, same=0.5)).dropped.any()
    # A joint that is not seen contradicts nobody, however little is asked of it.
    assert 5 not in np.flatnonzero(merge(MergeSettings(sure=0.0, same=0.5)).dropped)
    assert not merge(MergeSettings(far=0.81, same=0.5)).dropped.any()


def test_a_pose_that_is_somebody_elses_changes_nothing() -> None:
    """Four joints are seen by both (0, 1, 3, 7), of which two agree."""
    merged = merge(MergeSettings(same=0.51))
    assert not merged.taken
    assert merged.keypoints.tolist() == GIVEN.tolist()
    assert not (merged.confirmed | merged.dropped | merged.filled).any()


def test_someone_without_labels_gets_the_pose() -> None:
    merged = merge(MergeSettings(), given=np.zeros_like(GIVEN))
    assert merged.taken
    assert np.flatnonzero(merged.filled).tolist() == [0, 1, 2, 3, 7]
    np.testing.assert_array_equal(merged.keypoints, labels_of(POSE, SIZE, least=0.5))


def test_labels_are_joints_of_enough_score_inside_the_image() -> None:
    pose = np.array([[-0.5, 299.5, 0.5], [399.6, 0, 1], [5, 5, 0.49], [5, 5, 0]])
    assert labels_of(pose, SIZE, least=0.5).tolist() == [[-0.5, 299.5, 2], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    # A score of 0 says that there is no joint, whatever is asked for.
    assert labels_of(pose, SIZE, least=0.0)[3].tolist() == [0, 0, 0]


def at(body: np.ndarray, x: float, y: float) -> np.ndarray:
    """The joints [K, 3] somewhere else."""
    return body + np.array([x, y, 0.0])


def test_poses_find_their_people() -> None:
    """By joints where these are labelled, by boxes else; a pose that is like nobody stays alone."""
    body = np.array([[0.0, 0, 2], [30, 0, 2], [0, 90, 2]])
    people = np.array([at(body, 50, 50), body * 0, at(body, 200, 50)])
    boxes = np.array([[40.0, 40, 60, 110], [120, 40, 60, 110], [190, 40, 60, 110]])
    poses = np.array([at(people[2], 3, 0), at(body, 130, 52), at(body, 300, 200), people[0]])
    pose_boxes = np.array([[195.0, 45, 50, 100], [125, 45, 50, 100], [290, 190, 60, 110], [40, 40, 60, 110]])
    found = match_poses(poses, pose_boxes, people, boxes, areas=np.full(3, 3000.0), sigmas=(0.1, 0.1, 0.1))
    assert found == {0: 2, 1: 1, 3: 0}


def test_shares_of_boxes() -> None:
    box, half, other = [0.0, 0, 10, 10], [5.0, 0, 10, 10], [50.0, 0, 10, 10]
    np.testing.assert_allclose(
        overlaps(np.array([box]), np.array([box, half, other, [2, 2, 2, 2]])), [[1.0, 50 / 150, 0.0, 0.04]]
    )
    assert overlaps(np.zeros((0, 4)), np.array([box, half])).shape == (0, 2)
    np.testing.assert_allclose(covered(np.array([half, other]), np.array([box, [0, 0, 8, 20]])), [0.5, 0])
    assert covered(np.array([box]), np.zeros((0, 4))) == pytest.approx([0])
