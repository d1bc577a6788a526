"""What is painted lies where the labels say, with the right side in front."""

import cv2
import numpy as np
import pytest
from portraits import SIZE, Portrait, portrait

from nas.arrays import Flags
from nas.demo.people.draw import SUPERSAMPLING, Light, paint_figure, to_fine
from nas.demo.people.kinematics import Camera
from nas.demo.people.labels import Joint, annotation, visibility
from nas.demo.people.mesh import MeshBuilder

FACE = ("nose", "left_eye", "right_eye")


def _flag(shown: Portrait, name: str, covered: Flags | None = None) -> int:
    nothing = np.zeros(shown.figure.depth.shape, dtype=bool)
    return visibility(shown.joints[name], shown.figure, nothing if covered is None else covered, SIZE)


@pytest.mark.parametrize("centre", [(40.0, 30.0), (40.25, 30.6), (33.5, 28.9)])
def test_a_ball_is_painted_about_its_pixel(centre: tuple[float, float]) -> None:
    builder = MeshBuilder()
    builder.ellipsoid((0, 0, 0), (0.2, 0.2, 0.2), 0, (200, 100, 50), rings=15, sides=24)
    mesh = builder.build()
    canvas = np.zeros((60 * SUPERSAMPLING, 80 * SUPERSAMPLING, 4), dtype=np.uint8)
    camera = Camera(np.eye(3), np.zeros(3), 5.0, 60.0, centre)
    light = Light(np.array([0.0, 0.0, 1.0]), 1.0, 0.0, np.ones(3))
    figure = paint_figure(canvas, mesh, mesh.vertices, camera, light, np.random.default_rng(0))
    share = cv2.resize(figure.silhouette.astype(np.float32), (80, 60), interpolation=cv2.INTER_AREA)
    y, x = np.mgrid[:60, :80]
    found = (share * x).sum() / share.sum(), (share * y).sum() / share.sum()
    np.testing.assert_allclose(found, centre, atol=0.1)
    assert share.sum() == pytest.approx(np.pi * 12**2, rel=0.06)
    fields = annotation(np.zeros((17, 3)), figure)
    assert fields["area"] == pytest.approx(share.sum(), rel=0.05)
    assert fields["bbox"][0] + fields["bbox"][2] / 2 - 0.5 == pytest.approx(centre[0], abs=0.6)


def test_surfaces_in_front_hide_those_behind() -> None:
    builder = MeshBuilder()
    builder.ellipsoid((0, 0, 0.5), (0.1, 0.1, 0.1), 0, (255, 0, 0))
    builder.ellipsoid((0, 0, -0.5), (0.2, 0.2, 0.2), 0, (0, 255, 0))
    mesh = builder.build()
    canvas = np.zeros((96, 96, 4), dtype=np.uint8)
    light = Light(np.array([0.0, 0.0, 1.0]), 1.0, 0.0, np.ones(3))
    camera = Camera(np.eye(3), np.zeros(3), 8.0, 60.0, (24.0, 24.0))
    paint_figure(canvas, mesh, mesh.vertices, camera, light, np.random.default_rng(0))
    assert canvas[48, 48, 0] > 150
    assert canvas[48, 48, 1] == 0
    assert canvas[48, 48 - 18, 1] > 100


def test_faces_are_seen_from_the_front_only() -> None:
    assert [_flag(portrait(0.0), name) for name in FACE] == [2, 2, 2]
    assert [_flag(portrait(180.0), name) for name in FACE] == [1, 1, 1]


def test_sides_hide_each_other_in_profile() -> None:
    right_side = portrait(90.0)
    for joint in ("ear", "hip", "shoulder", "knee"):
        assert _flag(right_side, f"right_{joint}") == 2, joint
        assert _flag(right_side, f"left_{joint}") == 1, joint


def test_left_is_right_in_the_image_exactly_when_people_face_the_camera() -> None:
    for yaw, sign in ((0.0, 1), (180.0, -1)):
        joints = portrait(yaw).joints
        for joint in ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle"):
            assert sign * (joints[f"left_{joint}"].pixel[0] - joints[f"right_{joint}"].pixel[0]) > 0


def test_eyes_are_painted_where_they_are_labelled() -> None:
    front = portrait(0.0)
    for name in ("left_eye", "right_eye"):
        x, y = (round(float(v)) for v in to_fine(np.array(front.joints[name].pixel)))
        cheek = front.canvas[y + 6, x, :3].astype(int).sum()
        assert front.canvas[y, x, :3].astype(int).sum() < 0.6 * cheek


def test_every_joint_lies_on_the_silhouette() -> None:
    for yaw in (0.0, 50.0, 180.0, 250.0):
        shown = portrait(yaw)
        near = cv2.dilate(shown.figure.silhouette.astype(np.uint8), np.ones((5, 5), np.uint8))
        for name, joint in shown.joints.items():
            x, y = (round(float(v)) for v in to_fine(np.array(joint.pixel)))
            assert near[y, x], (yaw, name)


def test_what_stands_before_a_joint_occludes_it() -> None:
    front = portrait(0.0)
    covered = np.zeros(front.figure.depth.shape, dtype=bool)
    x, y = (round(float(v)) for v in to_fine(np.array(front.joints["left_knee"].pixel)))
    covered[y - 6 : y + 7, x - 6 : x + 7] = True
    assert _flag(front, "left_knee", covered) == 1
    assert _flag(front, "right_knee", covered) == 2


def test_joints_outside_the_image_are_not_labelled() -> None:
    front = portrait(0.0)
    nothing = np.zeros(front.figure.depth.shape, dtype=bool)
    for pixel, flag in (((-0.6, 50.0), 0), ((10.0, SIZE[0] - 0.4), 0), ((191.4, 223.4), 2)):
        assert visibility(Joint(pixel, 0.0, 0.1), front.figure, nothing, SIZE) == flag
