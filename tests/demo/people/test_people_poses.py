"""Poses keep to what joints and bones allow."""

import numpy as np
import pytest

from nas.demo.people.anatomy import BONE, BONES, Build
from nas.demo.people.kinematics import bone_rotations, bone_transforms, turn_x, turn_y, turn_z
from nas.demo.people.limits import LIMITS
from nas.demo.people.poses import sample_pose


def test_angles_stay_within_the_limits() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        angles = sample_pose(Build.sample(rng), rng).angles
        for bone, row in zip(BONES, angles, strict=True):
            limits = LIMITS[bone.name.split("_", 1)[1] if bone.side else bone.name]
            assert all(low <= angle <= high for angle, (low, high) in zip(row, limits, strict=True)), (
                bone.name
            )


def test_bones_keep_their_length_in_every_pose() -> None:
    rng = np.random.default_rng(1)
    build = Build.sample(rng)
    origins = build.origins()
    for _ in range(20):
        transforms = sample_pose(build, rng).transforms(build)
        placed = np.einsum("bij,bj->bi", transforms[:, :, :3], origins) + transforms[:, :, 3]
        for index, bone in enumerate(BONES[1:], 1):
            length = np.linalg.norm(placed[index] - placed[bone.parent])
            assert length == pytest.approx(np.linalg.norm(origins[index] - origins[bone.parent]))


def test_rotation_is_turn_then_out_then_raise_mirrored_for_the_right_side() -> None:
    angles = np.zeros((len(BONES), 3))
    left, right = BONE["left_upper_arm"], BONE["right_upper_arm"]
    angles[[left, right]] = 30, 40, 20
    rotations = bone_rotations(angles)
    np.testing.assert_allclose(rotations[left], turn_x(-30) @ turn_z(40) @ turn_y(20), atol=1e-12)
    np.testing.assert_allclose(rotations[right], turn_x(-30) @ turn_z(-40) @ turn_y(-20), atol=1e-12)


@pytest.mark.parametrize(
    ("bone", "joint", "angle", "axis", "sign"),
    [
        ("left_upper_arm", "left_hand", (90, 0, 0), 2, 1),  # an arm raised points forward
        ("left_upper_arm", "left_hand", (0, 90, 0), 0, 1),  # an arm out points to its own side
        ("right_upper_arm", "right_hand", (0, 90, 0), 0, -1),
        ("left_forearm", "left_hand", (90, 0, 0), 2, 1),  # elbows bend forward
        ("left_shin", "left_foot", (-90, 0, 0), 2, -1),  # knees bend backward
    ],
)
def test_joints_turn_the_way_people_do(
    bone: str, joint: str, angle: tuple[float, ...], axis: int, sign: int
) -> None:
    build = Build()
    angles, origins = np.zeros((len(BONES), 3)), build.origins()
    angles[BONE[bone]] = angle
    transform = bone_transforms(angles, origins)[BONE[joint]]
    end = transform[:, :3] @ origins[BONE[joint]] + transform[:, 3]
    reach = np.linalg.norm(origins[BONE[joint]] - origins[BONE[bone]])
    assert sign * (end - origins[BONE[bone]])[axis] > 0.9 * reach


def test_poses_differ() -> None:
    rng = np.random.default_rng(2)
    poses = [sample_pose(Build(), rng) for _ in range(200)]
    assert len({pose.name for pose in poses}) >= 12
    wrist, shoulder = BONE["left_hand"], BONE["left_upper_arm"]
    origins = Build().origins()
    heights = []
    for pose in poses:
        moved = pose.transforms(Build())
        ends = [moved[b, :, :3] @ origins[b] + moved[b, :, 3] for b in (wrist, shoulder)]
        heights.append(ends[0][1] - ends[1][1])
    assert 0.1 < np.mean(np.array(heights) > 0) < 0.6
