"""A stream over a generated video: ids through a crossing, steadiness and lag, and how often it detects."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from walking_people import RATE, SKELETON, Walk, Walker, WalkPipeline

from nas.errors import UserError
from nas.runtime.frames import FramePoses
from nas.runtime.poses import SeenPoses
from nas.runtime.stages import StageTimes
from nas.runtime.stream import PoseStream

FRAMES = 300
CROSSING = (Walker(0, 64, y=176), Walker(620, -64, y=186))
RESTING = Walker(560, 0, y=170)
LEAVING = Walker(80, -60, y=260)
COMING = Walker(-40, 50, y=110, since=5)
EVERYBODY = (*CROSSING, RESTING, LEAVING, COMING)


def film(stream: PoseStream, walk: Walk, see: Callable[[FramePoses], None]) -> None:
    """Show the stream all frames."""
    for walk.now in range(FRAMES):
        see(stream(walk.frame(), seconds=walk.seconds))


def whose(walk: Walk, found: FramePoses) -> dict[int, int]:
    """The row of each person of a walk whose pose was found."""
    truth = walk.truth()
    if not truth or not len(found):
        return {}
    people = SeenPoses.of(np.stack(list(truth.values())))
    similar = SeenPoses.of(found.poses.keypoints).similarity(people, SKELETON.sigmas)
    rows = similar.argmax(0)
    return {
        person: int(row)
        for column, (person, row) in enumerate(zip(truth, rows, strict=True))
        if similar[row, column] > 0.5 and similar[row].argmax() == column
    }


def switches(ids: list[int]) -> int:
    """How often somebody is called another name than before."""
    return sum(before != after for before, after in pairwise(ids))


@pytest.mark.parametrize(
    ("every", "task", "smooth"),
    [
        (1, "image", False),
        (5, "crop", True),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in ((1, "crop", False), (1, "crop", True), (5, "crop", False), (1, "image", True))
        ),
    ],
)
def test_ids_are_kept_while_people_cross_leave_and_come(every: int, task: str, smooth: bool) -> None:
    walk = Walk(EVERYBODY)
    stream = PoseStream(WalkPipeline(walk, task=task), every=every, track=True, smooth=smooth)
    called: dict[int, list[int]] = {person: [] for person in range(len(EVERYBODY))}
    seen = dict.fromkeys(called, 0)

    def see(found: FramePoses) -> None:
        assert len(set(found.ids.tolist())) == len(found)
        for person, row in whose(walk, found).items():
            called[person].append(int(found.ids[row]))
        for person in walk.truth():
            seen[person] += 1

    film(stream, walk, see)
    assert switches(called[0]) + switches(called[1]) <= 1
    assert [switches(called[person]) for person in (2, 3, 4)] == [0, 0, 0]
    assert len({ids[-1] for ids in called.values()}) == len(EVERYBODY)
    for person in called:
        assert len(called[person]) >= 0.85 * seen[person]


def alone(walker: Walker, *, smooth: bool) -> tuple[np.ndarray, np.ndarray]:
    """Found and true places [T, 17, 2] of somebody who is alone, once the filter knows them."""
    walk, found, truth = Walk((walker,)), [], []
    stream = PoseStream(WalkPipeline(walk), smooth=smooth)
    for walk.now in range(150):
        (keypoints,) = stream(walk.frame(), seconds=walk.seconds).poses.keypoints
        found.append(keypoints[:, :2])
        truth.append(walk.truth()[0][:, :2])
    return np.stack(found)[30:], np.stack(truth)[30:]


def test_steady_at_rest() -> None:
    raw, smoothed = (alone(Walker(300, 0), smooth=smooth)[0].std(0).mean() for smooth in (False, True))
    assert raw > 0.5
    assert raw > 3 * smoothed


def test_quick_in_motion() -> None:
    found, truth = alone(Walker(50, 64), smooth=True)
    frames_behind = np.median(truth[..., 0] - found[..., 0]) / (64 / RATE)
    assert 0 < frames_behind <= 2
    raw, _ = alone(Walker(50, 64), smooth=False)
    assert np.abs(np.median(truth[..., 0] - raw[..., 0])) < 0.2


def test_a_detector_is_asked_in_every_fifth_frame_and_when_something_happens() -> None:
    walk = Walk((RESTING, Walker(100, 20)))
    pipeline = WalkPipeline(walk)
    found: list[FramePoses] = []
    film(PoseStream(pipeline, every=5), walk, found.append)
    assert len(walk.detections) <= FRAMES / 5 + 3
    assert [people.detected for people in found[:6]] == [True, False, False, False, False, True]
    assert {len(people) for people in found} == {2}
    assert set(pipeline.boxes) == {2}


def test_somebody_who_comes_is_found_before_the_next_regular_time() -> None:
    walk = Walk((RESTING, Walker(200, 0, since=2.03)))
    counts: list[int] = []
    film(PoseStream(WalkPipeline(walk), every=50), walk, lambda found: counts.append(len(found)))
    assert counts[60] == 1
    assert counts[63] == 2


def test_two_poses_of_one_person_are_one() -> None:
    walk = Walk((RESTING,))
    pipeline = WalkPipeline(walk)
    twice = pipeline.detector

    def detector(frames):
        (found,) = twice(frames)
        return [type(found)(np.repeat(found.boxes, 2, 0) + np.array([[0], [2]]), np.repeat(found.scores, 2))]

    pipeline.detector = detector
    (first, *_) = [PoseStream(pipeline)(walk.frame())]
    assert pipeline.boxes == [2]
    assert len(first) == 1


def test_reset_forgets_everybody() -> None:
    walk = Walk((RESTING,))
    stream = PoseStream(WalkPipeline(walk), every=9, track=True, smooth=True)
    times = StageTimes()
    assert [stream(walk.frame(), times=times).detected for _ in range(2)] == [True, False]
    assert {"detect", "track"} <= times.ms.keys()
    walk.people = (Walker(100, 0),)
    stream.reset()
    found = stream(walk.frame())
    assert found.detected
    assert found.ids.tolist() == [1]


@pytest.mark.parametrize(("every", "task"), [(0, "crop"), (5, "image")])
def test_every_has_a_meaning_or_is_refused(every: int, task: str) -> None:
    with pytest.raises(UserError, match="`every`"):
        PoseStream(WalkPipeline(Walk(()), task=task), every=every)
