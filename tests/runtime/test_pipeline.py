from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from dot_model import DOTS, dotted_image, write_dot_model

from nas.codecs import Poses
from nas.errors import UserError
from nas.runtime import (
    ColourFrame,
    FoundBoxes,
    FramePoses,
    OnnxModel,
    PosePipeline,
    StageTimes,
    draw_people,
    draw_poses,
    read_image,
)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    return PosePipeline(OnnxModel(write_dot_model(tmp_path_factory.mktemp("model") / "dots.onnx", (128, 96))))


def test_whole_image_is_one_crop(pipeline):
    dots = np.array([[30, 40], [100, 150], [170, 210]])
    poses = pipeline(dotted_image((240, 200), dots))
    assert len(poses) == 1
    np.testing.assert_allclose(poses.keypoints[0, :, :2], dots, atol=1.5)


def test_each_box_gets_its_pose_in_image_pixels(pipeline):
    first, second = np.array([[30, 40], [60, 90], [90, 110]]), np.array([[230, 60], [260, 90], [290, 150]])
    image = np.maximum(dotted_image((240, 320), first), dotted_image((240, 320), second))
    poses = pipeline(image, boxes=[(15, 20, 105, 130), (215, 50, 305, 160)])
    np.testing.assert_allclose(poses.keypoints[..., :2], [first, second], atol=1.0)
    assert pipeline(image, boxes=np.zeros((0, 4))).keypoints.shape == (0, 3, 3)


def test_an_image_file_is_read_as_rgb(pipeline, tmp_path):
    dots = np.array([[30, 40], [100, 150], [170, 210]])
    image = dotted_image((240, 200), dots)
    cv2.imwrite(str(tmp_path / "dots.png"), image[..., ::-1])
    np.testing.assert_array_equal(read_image(tmp_path / "dots.png"), image)
    np.testing.assert_allclose(pipeline(tmp_path / "dots.png").keypoints, pipeline(image).keypoints)


def test_unreadable_images_are_named(tmp_path):
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "empty.jpg").write_bytes(b"")
    for name, message in (
        ("text.jpg", "not an image"),
        ("empty.jpg", "is empty"),
        ("absent.jpg", "is missing"),
    ):
        with pytest.raises(UserError, match=f"{name}.*{message}"):
            read_image(tmp_path / name)


def test_drawing_marks_joints_and_limbs_and_leaves_the_image_alone():
    image = np.zeros((100, 100, 3), np.uint8)
    keypoints = np.array(
        [[[20.0, 20, 0.9], [60, 20, 0.9], [80, 80, 0.1]], [[np.nan, 5, 0.9], [1e9, 5, 0.9], [50, 50, 0.9]]]
    )
    drawn = draw_poses(image, Poses(keypoints, np.array([0.8, 0.7])), DOTS)
    assert image.max() == 0
    assert drawn[20, 40].max() > 0
    assert drawn[80, 80].max() == 0
    np.testing.assert_array_equal(drawn[50, 50], [245, 130, 32])
    assert draw_poses(image, Poses(keypoints, np.array([0.8, 0.7])), DOTS, min_pose=0.9).max() == 0


def test_boxes_without_extent_are_one_line(pipeline):
    image = np.zeros((50, 40, 3), np.uint8)
    odd = [(3, 3, 3, 3), (np.nan, 0, 5, 5), (0, 0, np.inf, 5), (0, 0, 1e300, 1e300)]
    # Also what only one side of which has an extent: x, y, width, height taken for corners.
    for box in (*odd, (5, 5, 1, 1), (9, 1, 5, 8), (5, 5, 5, 9)):
        with pytest.raises(UserError, match="box 1 has no extent"):
            pipeline(image, boxes=[(0, 0, 9, 9), box])


def test_boxes_of_another_shape_are_one_line(pipeline):
    image = np.zeros((50, 40, 3), np.uint8)
    for shape in ((4, 3), (2, 5), (8,), (1, 2, 4)):
        with pytest.raises(UserError, match=r"of people \[N, 4\], not an array"):
            pipeline(image, boxes=np.ones(shape))
    assert len(pipeline(image, boxes=(0, 0, 9, 9))) == len(pipeline(image, boxes=[(0, 0, 9, 9)]))
    assert len(pipeline(image, boxes=[])) == 0


def test_many_boxes_are_answered_in_order(pipeline):
    image = dotted_image((60, 40), np.array([[10, 10], [20, 30], [30, 50]]))
    boxes = [(0, 0, 39 - 0.1 * number, 59) for number in range(70)]
    poses = pipeline(image, boxes=boxes)
    assert len(poses) == 70
    for number in (0, 31, 32, 69):
        np.testing.assert_array_equal(
            poses.keypoints[number], pipeline(image, boxes=[boxes[number]]).keypoints[0]
        )


@pytest.fixture(scope="module")
def detected(pipeline):
    """The pipeline with a detector that sees two boxes, one of them twice, in every image but black ones."""

    def detector(frames):
        boxes = np.array([(15, 20, 105, 130), (215, 50, 305, 160), (215, 51, 305, 161)], float)
        return [
            FoundBoxes(boxes, np.ones(3)) if frame.pixels.any() else FoundBoxes(np.zeros((0, 4)), np.zeros(0))
            for frame in frames
        ]

    return PosePipeline(pipeline.model, detector)


FIRST, SECOND = np.array([[30, 40], [60, 90], [90, 110]]), np.array([[230, 60], [260, 90], [290, 150]])


def two_people():
    return np.maximum(dotted_image((240, 320), FIRST), dotted_image((240, 320), SECOND))


def test_a_detector_finds_the_boxes_and_nobody_twice(detected):
    people = detected.look(two_people())
    np.testing.assert_allclose(people.poses.keypoints[..., :2], [FIRST, SECOND], atol=1.0)
    np.testing.assert_allclose(people.boxes[0], (15, 20, 105, 130))
    assert len(detected(np.zeros((240, 320, 3), np.uint8))) == 0
    given = detected(two_people(), boxes=[(15, 20, 105, 130)] * 2)
    assert len(given) == 2, "given boxes are answered one by one"


def test_a_batch_gives_what_single_images_do(pipeline, detected):
    images = [two_people(), np.zeros((100, 320, 3), np.uint8), two_people()[:200]]
    for one in (pipeline, detected):
        found = one.batch(images)
        for poses, image in zip(found, images, strict=True):
            np.testing.assert_array_equal(poses.keypoints, one(image).keypoints)
    boxes = [[(15, 20, 105, 130)], np.zeros((0, 4)), None]
    assert [len(poses) for poses in pipeline.batch(images, boxes)] == [1, 0, 1]
    assert [len(poses) for poses in pipeline.batch(np.stack([images[0]] * 2))] == [1, 1]
    with pytest.raises(UserError, match="`boxes` of 1 images for 3 images"):
        pipeline.batch(images, [None])


def test_channels_are_said(pipeline):
    image = two_people()
    expected = pipeline(image).keypoints
    np.testing.assert_array_equal(pipeline(image[..., ::-1], colour="bgr").keypoints, expected)
    with pytest.raises(UserError, match="`colour`"):
        pipeline(image[..., 0])
    assert pipeline(image[..., 0], colour="grey").keypoints.shape == expected.shape


def test_what_is_no_image_is_told(pipeline):
    for image, said in ((None, "not NoneType"), ([[1, 2]], "not list")):
        with pytest.raises(UserError, match=said):
            pipeline(image)
    with pytest.raises(UserError, match="several images: use `batch`"):
        pipeline(np.zeros((2, 4, 5, 3), np.uint8))


def test_a_network_for_whole_images_takes_no_detector(detected):
    model = SimpleNamespace(task="image", codec=None)
    with pytest.raises(UserError, match="takes no `detector`"):
        PosePipeline(model, detected.detector)


def test_stages_are_timed(detected):
    times = StageTimes()
    detected.look(two_people(), times=times)
    assert list(times.ms) == ["detect", "prepare", "network", "decode"]
    assert all(taken > 0 for taken in times.ms.values())


def test_people_are_drawn_by_how_sure_they_are_with_ids_and_boxes():
    keypoints = np.array([[[20.0, 20, 0.9], [60, 20, 0.9], [80, 80, 0.9]]])
    frame = ColourFrame(np.zeros((120, 100, 3), np.uint8))

    def drawn(score: float, *, number: int = 0, **options: bool) -> np.ndarray:
        box = np.array([[5.0, 5, 95, 110]])
        people = FramePoses(Poses(keypoints, np.array([score])), box, np.array([number]))
        return draw_people(frame, people, DOTS, **options)

    brightest = [int(drawn(score).max()) for score in (1.0, 0.5, 0.0)]
    assert brightest[0] == 245
    assert brightest == sorted(brightest, reverse=True)
    assert brightest[-1] > 80
    assert drawn(1.0)[110, 50].max() == 0
    assert drawn(1.0, boxes=True)[110, 50].max() > 0
    assert (drawn(1.0, number=7) != drawn(1.0)).any()
    swapped = draw_people(
        ColourFrame(frame.pixels, bgr=True),
        FramePoses(Poses(keypoints, np.array([1.0])), np.zeros((1, 4)), np.array([0])),
        DOTS,
    )
    np.testing.assert_array_equal(swapped[..., ::-1], drawn(1.0))
    assert frame.pixels.max() == 0
