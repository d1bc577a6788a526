"""Tracks against values computed by hand."""

import numpy as np

from nas.runtime.poses import SeenPoses
from nas.runtime.tracking import MEMORY, PoseTracker

SIGMAS = (0.1, 0.1)
PERSON = np.array([[0.0, 0, 0.9], [40, 80, 0.9]])


def at(*xs: float) -> SeenPoses:
    """People at these places."""
    return SeenPoses.of(np.stack([PERSON + np.array((x, 0, 0)) for x in xs]) if xs else np.zeros((0, 2, 3)))


def ids(tracker: PoseTracker, seconds: float, *xs: float) -> list[int]:
    return tracker.update(at(*xs), seconds).ids.tolist()


def test_ids_stay_with_people_whatever_the_order():
    tracker = PoseTracker(SIGMAS)
    assert ids(tracker, 0.0, 0, 300) == [1, 2]
    assert ids(tracker, 0.1, 305, 5) == [2, 1]
    assert ids(tracker, 0.2, 600, 10, 310) == [3, 1, 2]


def test_the_most_alike_are_matched_first():
    """Of two poses near one person the nearer is theirs, though the other comes first."""
    tracker = PoseTracker(SIGMAS)
    ids(tracker, 0.0, 0)
    assert ids(tracker, 0.1, 8, 2) == [2, 1]


def test_velocity_is_averaged_over_a_while():
    """The mean of all steps until they fill .3 s, then a third of it goes with every tenth of a second."""
    tracker = PoseTracker(SIGMAS)
    tracker.update(at(0), 0.0)
    velocities = []
    for number, x in enumerate((1, 3, 6, 6), start=1):
        people = tracker.update(at(x), number / 10)
        velocities += people.velocities.tolist()
    np.testing.assert_allclose(velocities, [[10, 0], [15, 0], [20, 0], [20 * 2 / 3, 0]])
    np.testing.assert_allclose(people.expected(0.7).keypoints[0, :, 0], [10, 50])
    people = tracker.update(at(16), 0.9)
    np.testing.assert_allclose(people.velocities, [[20, 0]])
    np.testing.assert_allclose(people.gaps, [0.5])


def test_each_moves_on_their_own():
    """In any order, with somebody new among them."""
    tracker = PoseTracker(SIGMAS)
    tracker.update(at(0, 300), 0.0)
    people = tracker.update(at(600, 304, 2), 0.1)
    assert people.ids.tolist() == [3, 2, 1]
    np.testing.assert_allclose(people.velocities, [[0, 0], [40, 0], [20, 0]])
    np.testing.assert_allclose(people.gaps, [0, 0.1, 0.1])
    np.testing.assert_allclose(people.seen.keypoints[:, 0, 0], [600, 304, 2])


def test_times_that_stand_still_move_nobody():
    tracker = PoseTracker(SIGMAS)
    tracker.update(at(0), 0.0)
    people = tracker.update(at(5), 0.0)
    np.testing.assert_array_equal(people.velocities, [[0, 0]])
    np.testing.assert_array_equal(people.spans, [0])


def test_an_arm_that_swings_moves_nobody():
    """The median of the steps that both poses are sure of, whichever they are; of an even number the mean."""
    tracker = PoseTracker((0.1,) * 4)
    pose = np.array([[0.0, 0, 0.9], [40, 80, 0.9], [20, 40, 0.9], [10, 10, 0.9]])
    steps = np.array([[1.0, 0, 0], [2, 0, 0], [3, 0, 0], [30, 0, 0]])
    other = pose + np.array((500, 0, 0))
    tracker.update(SeenPoses.of(np.stack([pose, other])), 0.0)
    unsure = np.array([[0, 0, -0.85], [0, 0, 0], [0, 0, 0], [0, 0, 0]])
    people = tracker.update(SeenPoses.of(np.stack([pose + steps, other + steps + unsure])), 1.0)
    assert people.ids.tolist() == [1, 2]
    np.testing.assert_allclose(people.velocities, [[2.5, 0], [3, 0]])


def test_an_unsure_keypoint_does_not_move_a_person():
    tracker = PoseTracker((0.1, 0.1, 0.1))
    pose = np.array([[0.0, 0, 0.9], [40, 80, 0.9], [20, 40, 0.9]])
    tracker.update(SeenPoses.of(pose[None]), 0.0)
    moved = pose + np.array(((0, 0, 0), (0, 0, 0), (500, 0, -0.85)))
    people = tracker.update(SeenPoses.of(moved[None]), 1.0)
    np.testing.assert_allclose(people.velocities, [[0, 0]])


def test_who_is_not_seen_is_remembered_for_a_while():
    for gap, expected in ((MEMORY, 1), (MEMORY + 0.1, 2)):
        tracker = PoseTracker(SIGMAS)
        assert ids(tracker, 0.0, 0) == [1]
        assert ids(tracker, gap / 2) == []
        assert ids(tracker, gap, 0) == [expected]


def test_who_is_hidden_moves_on():
    """Two people cross; while one is hidden each goes on as before, and gets their own id back."""
    tracker = PoseTracker(SIGMAS)
    for frame in range(17):
        assert ids(tracker, frame / 30, 3 * frame, 121 - 3 * frame) == [1, 2]
    for frame in range(17, 26):
        assert ids(tracker, frame / 30, 3 * frame) == [1]
    assert ids(tracker, 26 / 30, 121 - 3 * 26, 3 * 26) == [2, 1]


def test_a_pose_that_is_like_nobody_is_somebody_new():
    """d^2 / (2 sigma)^2 / area / 2: an area of 50 x 100 px^2, so 30 px are exp(-2.25) = .11."""
    tracker = PoseTracker(SIGMAS)
    ids(tracker, 0.0, 0)
    assert ids(tracker, 0.1, 30) == [2]
    tracker = PoseTracker(SIGMAS, min_similarity=0.1)
    ids(tracker, 0.0, 0)
    assert ids(tracker, 0.1, 30) == [1]
