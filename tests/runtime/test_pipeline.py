import cv2
import numpy as np
import pytest
from dot_model import DOTS, dotted_image, write_dot_model

from nas.codecs import Poses
from nas.errors import UserError
from nas.runtime import OnnxModel, PosePipeline, draw_poses, read_image


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
    for box in ((3, 3, 3, 3), (np.nan, 0, 5, 5), (0, 0, np.inf, 5), (5, 5, 1, 1), (0, 0, 1e300, 1e300)):
        with pytest.raises(UserError, match="box 1 has no extent"):
            pipeline(image, boxes=[(0, 0, 9, 9), box])


def test_many_boxes_are_answered_in_order(pipeline):
    image = dotted_image((60, 40), np.array([[10, 10], [20, 30], [30, 50]]))
    boxes = [(0, 0, 39 - 0.1 * number, 59) for number in range(70)]
    poses = pipeline(image, boxes=boxes)
    assert len(poses) == 70
    for number in (0, 31, 32, 69):
        np.testing.assert_array_equal(
            poses.keypoints[number], pipeline(image, boxes=[boxes[number]]).keypoints[0]
        )
