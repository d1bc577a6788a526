"""When a detector is asked: by the frame, and by what happens in it."""

import numpy as np

from nas.codecs import Poses
from nas.runtime.following import Follower
from nas.runtime.frames import ColourFrame, FramePoses
from nas.runtime.motion import MotionWatch

BOX = np.array([[10.0, 10, 50, 90]])
TWO = np.array([[10.0, 10, 50, 90], [100, 10, 140, 90]])
SIZE = (120, 200)


def frame(*blocks: tuple[int, int, int, int], grey: int = 90) -> ColourFrame:
    """A grey picture with white blocks (x0, y0, x1, y1)."""
    pixels = np.full((*SIZE, 3), grey, np.uint8)
    for x0, y0, x1, y1 in blocks:
        pixels[y0:y1, x0:x1] = 230
    return ColourFrame(pixels)


def asked(follower: Follower, shown: ColourFrame, found: np.ndarray) -> bool:
    """Whether the detector is asked in a frame in which these boxes are found."""
    boxes = follower.boxes(shown)
    follower.note(shown, people(found if boxes is None else boxes[: len(found)]), found, asked=boxes)
    return boxes is None


def people(boxes: np.ndarray) -> FramePoses:
    """People who were looked for in these boxes."""
    count = len(boxes)
    return FramePoses(Poses(np.zeros((count, 2, 3)), np.ones(count)), boxes, np.zeros(count, np.int64))


def test_every_kth_frame():
    follower = Follower(4)
    assert [asked(follower, frame(), BOX) for _ in range(9)] == [number % 4 == 0 for number in range(9)]
    always = Follower(1)
    assert all(asked(always, frame(), BOX) for _ in range(3))


def test_in_between_people_are_looked_for_where_they_were():
    follower = Follower(4)
    asked(follower, frame(), BOX)
    np.testing.assert_array_equal(follower.boxes(frame()), BOX)


def test_the_margins_that_a_detector_leaves_stay_from_one_detection_to_the_next():
    follower = Follower(9)
    detected = np.array([[90.0, 15, 130, 95], [10, 20, 40, 90]])
    poses = np.array([[100.0, 20, 140, 100], [0, 0, 40, 80]])
    follower.note(frame(), people(detected), poses, asked=follower.boxes(frame()))
    np.testing.assert_allclose(follower.boxes(frame()), detected)
    # The first one is gone; the second is twice as large.
    follower.note(frame(), people(detected[1:]), poses[1:] * 2, asked=follower.boxes(frame()))
    np.testing.assert_allclose(follower._boxes, detected[1:] * 2)
    follower.note(frame(), people(np.array([[0.0, 0, 500, 500]])), poses[:1], asked=None)
    np.testing.assert_allclose(follower.boxes(frame()), [[60, 0, 180, 140]])  # a poor pose


def test_somebody_lost_is_looked_for_in_the_next_frame():
    follower = Follower(9)
    asked(follower, frame(), TWO)
    assert not asked(follower, frame(), BOX)
    assert asked(follower, frame(), BOX)
    assert not asked(follower, frame(), BOX), "the detector did not find them: that is all there is to know"


def test_while_nobody_is_known_every_frame_is_searched():
    follower = Follower(9)
    nobody = np.zeros((0, 4))
    assert [asked(follower, frame(), nobody) for _ in range(3)] == [True] * 3
    follower.reset()
    assert asked(follower, frame(), BOX)


def test_who_leaves_the_frame_is_followed_no_further():
    follower = Follower(9)
    leaving = np.array([[10.0, 10, 50, 90], [185, 10, 225, 90], [192, 10, 232, 90], [5, 5, 5, 5]])
    asked(follower, frame(), leaving)
    np.testing.assert_array_equal(follower.boxes(frame()), leaving[:2])


def test_somebody_who_may_have_come_is_looked_for_once():
    follower = Follower(9)
    asked(follower, frame(), BOX)
    assert not asked(follower, frame((12, 20, 40, 80)), BOX), "a known person moves"
    stranger = frame((150, 20, 190, 110))
    assert asked(follower, stranger, BOX)
    assert not asked(follower, frame((100, 20, 140, 110)), BOX), "a detector said that it is nobody"
    regular = [asked(follower, frame((100, 20, 140, 110)), BOX) for _ in range(8)]
    assert regular == [False] * 7 + [True]
    assert asked(follower, stranger, BOX)


def test_a_camera_that_moves_tells_nothing_of_people():
    watch = MotionWatch()
    assert not watch.moved(frame())
    watch.start(frame())
    watch.cover(BOX, SIZE)
    assert not watch.moved(frame(grey=140))
    assert not watch.moved(frame((150, 20, 154, 24))), "too small"
    assert watch.moved(frame((150, 20, 190, 110)))
    watch.cover(np.array([[150.0, 20, 190, 110], [np.nan] * 4]), SIZE)
    assert not watch.moved(frame((150, 20, 190, 110)))
