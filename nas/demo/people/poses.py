"""Poses: what people do, as joint angles within the limits of the joints.

A pose is put together from what the legs do, what each arm does and how the trunk is held, so that few habits
give many postures.
"""

from dataclasses import dataclass

import numpy as np

from nas.arrays import Floats
from nas.demo.people.anatomy import BONE, Build
from nas.demo.people.habits import (
    AIRBORNE,
    ARM_SHARES,
    ARMS,
    LEGS,
    SIDES,
    JointAngles,
    Legs,
    loose,
    run,
    sit,
    walk,
)
from nas.demo.people.kinematics import bone_transforms, turn_x, turn_z
from nas.demo.people.limits import within_limits

_TRIES = 5


@dataclass(frozen=True)
class Pose:
    """How a person is posed.

    Args:
        name: what the legs do.
        angles: [B, 3] degrees, as in `kinematics.bone_rotations`.
        root: [3, 3] rotation of the whole person about the pelvis (lying, upside down, leaning).
        seat: height of a seat's top below the pelvis (m); None where nothing is sat on.
        grounded: whether the lowest point touches the ground.
    """

    name: str
    angles: Floats
    root: Floats
    seat: float | None = None
    grounded: bool = True

    def transforms(self, build: Build) -> Floats:
        """[B, 3, 4] of a person whose pelvis stays at its place at rest."""
        origins = build.origins()
        moved = bone_transforms(self.angles, origins)
        pelvis = origins[0]
        turned: Floats = self.root @ moved
        turned[:, :, 3] += pelvis - self.root @ pelvis
        return turned


def sample_pose(build: Build, rng: np.random.Generator) -> Pose:
    """A pose; arms that would pass through trunk or head are drawn again."""
    legs: Legs
    special = rng.random()
    angles = JointAngles(rng)
    if special < 0.015:
        legs, root, grounded = loose, _lying(rng), True
    elif special < 0.02:
        legs, root, grounded = loose, turn_z(180 + rng.normal(0, 25)) @ turn_x(rng.normal(0, 15)), True
    else:
        shares = np.array([share for _, share in LEGS])
        legs = LEGS[int(rng.choice(len(LEGS), p=shares / shares.sum()))][0]
        root = turn_z(rng.normal(0, 3)) @ turn_x(rng.normal(3, 4))
        grounded = legs not in AIRBORNE
    _trunk_and_head(angles)
    legs(angles)
    fixed_arms = legs is run or (legs is walk and rng.random() < 0.6)
    if not fixed_arms:
        _free_arms(angles, build)
    seat = 0.13 if legs is sit else None
    return Pose(legs.__name__.lstrip("_"), within_limits(angles.values), root, seat, grounded)


def _trunk_and_head(a: JointAngles) -> None:
    bend = a.rng.choice([3.0, 12.0, 30.0, 70.0], p=[0.6, 0.2, 0.12, 0.08])
    a.trunk(bend=bend, side=a.rng.normal(0, 7), turn=a.rng.normal(0, 12))
    look, nod = a.rng.normal(0, 24), a.rng.normal(-2, 12) + 0.35 * bend
    for bone in ("neck", "head"):
        a.set(bone, nod / 2, 0, look / 2, spread=4)


def _free_arms(a: JointAngles, build: Build) -> None:
    names = list(ARMS)
    shares = np.array([ARM_SHARES.get(name, 1.0) for name in names])
    for _ in range(_TRIES):
        both = names[int(a.rng.choice(len(names), p=shares / shares.sum()))]
        for side in SIDES:
            same = side == "left" or a.rng.random() < 0.5
            name = both if same else names[int(a.rng.choice(len(names), p=shares / shares.sum()))]
            lift, out, turn, elbow, spread = ARMS[name]
            a.arm(side, lift=lift, out=out, turn=turn, elbow=elbow, spread=spread)
        if not _arms_collide(within_limits(a.values), build):
            return


def _arms_collide(angles: Floats, build: Build) -> bool:
    """Whether a wrist, hand or forearm lies inside the trunk or the head."""
    origins = build.origins()
    moved = bone_transforms(angles, origins)
    points = []
    for side in SIDES:
        elbow, wrist = BONE[f"{side}_forearm"], BONE[f"{side}_hand"]
        joint = moved[wrist, :, :3] @ origins[wrist] + moved[wrist, :, 3]
        bend = moved[elbow, :, :3] @ origins[elbow] + moved[elbow, :, 3]
        palm = moved[wrist, :, :3] @ (origins[wrist] - (0, 0.09, 0)) + moved[wrist, :, 3]
        points += [joint, palm, (joint + bend) / 2, bend]
    world = np.array(points)
    spine = moved[BONE["spine"]]
    trunk = (world - spine[:, 3]) @ spine[:, :3]
    level = (trunk[:, 1] > build.hip_height - 0.12) & (trunk[:, 1] < build.shoulder_height)
    wide, deep = 0.155 * build.girth, 0.125 * build.girth
    inside = level & ((trunk[:, 0] / wide) ** 2 + (trunk[:, 2] / deep) ** 2 < 1)
    head = moved[BONE["head"]]
    skull = (world - head[:, 3]) @ head[:, :3] - build.head_centre
    return bool(inside.any() or (((skull / (build.head_radii + 0.015)) ** 2).sum(axis=1) < 1).any())


def _lying(rng: np.random.Generator) -> Floats:
    tilt = turn_x(rng.choice([-90.0, 90.0]) + rng.normal(0, 8))
    return np.asarray(tilt @ turn_z(rng.normal(0, 10)))
