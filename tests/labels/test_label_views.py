"""Views of a person, turned back and joined: exact, and dropped where they do not agree."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from dot_model import DOTS, dotted_image, write_dot_model

from nas.codecs import Poses
from nas.errors import UserError
from nas.labels import Views, join_views
from nas.labels.views import poses_of_boxes, poses_of_image
from nas.runtime import OnnxModel, PosePipeline

SIDE = 64
PLACES = np.array([[20.0, 30.0], [45.0, 12.0], [38.0, 52.0]])
WHOLE = np.array([[-0.5, -0.5, SIDE - 0.5, SIDE - 0.5]])


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> PosePipeline:
    """Finds the dots of an image of its own size, pixel for pixel."""
    model = write_dot_model(tmp_path_factory.mktemp("dots") / "dots.onnx", (SIDE, SIDE))
    return PosePipeline(OnnxModel(model), padding=1.0)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return dotted_image((SIDE, SIDE), PLACES)


@pytest.mark.parametrize("rotation", [0.0, 90.0, 180.0, 270.0, -90.0])
def test_quarter_turns_come_back_exactly(pipeline: PosePipeline, image: np.ndarray, rotation: float) -> None:
    (found,) = pipeline.by_box(image, WHOLE, rotation=rotation)
    np.testing.assert_allclose(found.keypoints[0, :, :2], PLACES, atol=1e-6)


@pytest.mark.parametrize("rotation", [-40.0, 15.0, 30.0, 123.0])
def test_any_turn_comes_back_within_a_pixel(
    pipeline: PosePipeline, image: np.ndarray, rotation: float
) -> None:
    (found,) = pipeline.by_box(image, WHOLE, rotation=rotation)
    away = np.linalg.norm(found.keypoints[0, :, :2] - PLACES, axis=1)
    assert (away <= np.sqrt(0.5) + 1e-6).all()  # the network answers in whole pixels


def test_a_turn_is_clockwise(pipeline: PosePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter turn shows the network at the right what is at the top."""
    seen: list[np.ndarray] = []
    candidates = pipeline.model.candidates

    def watched(images: np.ndarray) -> list[dict[str, np.ndarray]]:
        seen.extend(images)
        return candidates(images)

    monkeypatch.setattr(pipeline.model, "candidates", watched)
    top = np.array([[32.0, 4.0]] * 3)
    pipeline.by_box(dotted_image((SIDE, SIDE), top), WHOLE, rotation=90.0)
    y, x = np.unravel_index(seen[0].sum(-1).argmax(), (SIDE, SIDE))
    assert (x, y) == (59, 32)


def test_mirrored_joints_have_their_own_names(pipeline: PosePipeline, image: np.ndarray) -> None:
    """This network tells joints by their colour: what it calls left in a mirror is the other one."""
    (found,) = pipeline.by_box(image, WHOLE, flip=True)
    np.testing.assert_allclose(found.keypoints[0, :, :2], PLACES[list(DOTS.flip_index)], atol=1e-6)


def test_views_of_boxes_are_joined(pipeline: PosePipeline, image: np.ndarray) -> None:
    (plain,) = pipeline.by_box(image, WHOLE)
    one = poses_of_boxes(pipeline, image, WHOLE, Views())
    np.testing.assert_array_equal(one.keypoints, plain.keypoints)
    np.testing.assert_array_equal(one.scores, plain.scores)
    several = poses_of_boxes(pipeline, image, WHOLE, Views((0.0, 90.0, 180.0)))
    np.testing.assert_allclose(several.keypoints[0, :, :2], PLACES, atol=1e-6)
    # Red and blue are told apart by colour, so their mirrored views lie where the other one is.
    mirrored = poses_of_boxes(pipeline, image, WHOLE, Views(flip=True))
    assert (mirrored.keypoints[0, :, 2] > 0).tolist() == [False, True, False]
    nobody = poses_of_boxes(pipeline, image, np.zeros((0, 4)), Views((0.0, 20.0)))
    assert nobody.keypoints.shape == (0, 3, 3)


def joined(*places: tuple[float, float, float], agreement: float = 0.1) -> list[float]:
    """One joint of one person of scale 100 px, as each view has it."""
    keypoints = np.array(places)[:, None, None]
    scores = np.isfinite(keypoints[:, :, 0, 0]).astype(float)
    found = join_views(keypoints, scores, np.array([100.0]), agreement=agreement)
    return cast("list[float]", found.keypoints[0, 0].tolist())


MISSING = (np.nan, np.nan, np.nan)


def test_views_that_agree_are_averaged() -> None:
    assert joined((10, 20, 0.9)) == [10, 20, 0.9]
    assert joined((10, 20, 0.9), (14, 20, 0.7)) == pytest.approx([12, 20, 0.8])
    # The middle of three is (12, 20); the third lies 48 px from it.
    assert joined((10, 20, 0.9), (12, 20, 0.6), (60, 20, 0.9)) == pytest.approx([11, 20, 0.5])


def test_views_that_do_not_agree_are_dropped() -> None:
    assert joined((10, 20, 0.9), (40, 20, 0.9))[2] == 0
    assert joined((10, 20, 0.9), (40, 20, 0.9), (70, 20, 0.9))[2] == 0
    # Half of the views are not more than half.
    assert joined((10, 20, 1), (10, 20, 1), (90, 90, 1), (-70, -50, 1))[2] == 0
    assert joined((10, 20, 0.9), (40, 20, 0.9), agreement=0.15)[:2] == [25, 20]


def test_a_view_without_the_person_counts_as_one_that_does_not_agree() -> None:
    assert joined((10, 20, 0.9), MISSING, (10, 20, 0.9)) == pytest.approx([10, 20, 0.6])
    assert joined((10, 20, 0.9), MISSING)[2] == 0
    assert joined(MISSING, MISSING) == [0, 0, 0]


def at(pose: np.ndarray, x: float, y: float) -> np.ndarray:
    """The joints [K, 3] somewhere else."""
    return pose + np.array([x, y, 0.0])


def test_poses_of_whole_images_are_joined_with_their_like() -> None:
    """Whom the first view lacks is nobody; in what order the others name people does not matter."""
    person = np.array([[0.0, 0, 0.8], [40, 0, 0.8], [0, 80, 0.8]])
    first, second = at(person, 100, 100), at(person, 300, 50)
    views = {
        0.0: Poses(np.array([first, second]), np.array([0.9, 0.6])),
        30.0: Poses(np.array([at(second, 2, 0), person, at(first, 0, 4)]), np.array([0.5, 1.0, 0.7])),
    }

    class Scripted:
        model = SimpleNamespace(skeleton=DOTS)

        def by_box(self, pixels: object, *, rotation: float, flip: bool) -> list[Poses]:
            return [views[rotation]]

    found = poses_of_image(cast(PosePipeline, Scripted()), np.zeros((9, 9, 3), np.uint8), Views((0.0, 30.0)))
    np.testing.assert_allclose(found.keypoints, [at(first, 0, 2), at(second, 1, 0)])
    np.testing.assert_allclose(found.scores, [0.8, 0.55])


def test_rotations_that_say_nothing_are_refused() -> None:
    for rotations in ((), (0.0, 360.0), (15.0, 15.0)):
        with pytest.raises(UserError, match="`rotations`"):
            Views(rotations)


def test_a_box_of_the_file_is_turned_about_its_own_middle(tmp_path: Path) -> None:
    pipeline = PosePipeline(OnnxModel(write_dot_model(tmp_path / "dots.onnx", (SIDE, SIDE))), padding=1.0)
    image = np.full((200, 240, 3), 40, np.uint8)
    image[100 : 100 + SIDE, 150 : 150 + SIDE] = dotted_image((SIDE, SIDE), PLACES)
    (found,) = pipeline.by_box(image, WHOLE + np.array([150, 100, 150, 100]), rotation=90.0)
    np.testing.assert_allclose(found.keypoints[0, :, :2], PLACES + np.array([150, 100]), atol=1e-6)
