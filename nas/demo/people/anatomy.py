"""Bones, proportions and landmarks of a person standing at rest.

Coordinates are metres: x to the person's left, y up, z forward; arms and legs hang straight down. At rest all
bones have the same orientation, so that a pose is one rotation per bone.
"""

from dataclasses import dataclass

import numpy as np

from nas.arrays import Floats


@dataclass(frozen=True)
class Bone:
    """A rigid part: its name, the bone that carries it, and its side (1 left, -1 right, 0 in the middle)."""

    name: str
    parent: int
    side: int


def _bones() -> tuple[Bone, ...]:
    bones = [
        Bone("pelvis", -1, 0),
        Bone("spine", 0, 0),
        Bone("chest", 1, 0),
        Bone("neck", 2, 0),
        Bone("head", 3, 0),
    ]
    for name, side in (("left", 1), ("right", -1)):
        bones.append(Bone(f"{name}_shoulder", 2, side))
        for part in ("upper_arm", "forearm", "hand"):
            bones.append(Bone(f"{name}_{part}", len(bones) - 1, side))
        bones.append(Bone(f"{name}_thigh", 0, side))
        for part in ("shin", "foot"):
            bones.append(Bone(f"{name}_{part}", len(bones) - 1, side))
    return tuple(bones)


BONES = _bones()
BONE: dict[str, int] = {bone.name: index for index, bone in enumerate(BONES)}


@dataclass(frozen=True)
class Build:
    """How a person is built, relative to an average adult (1.0 each)."""

    head: float = 1.0
    legs: float = 1.0
    arms: float = 1.0
    shoulders: float = 1.0
    hips: float = 1.0
    girth: float = 1.0

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Build":
        """A person between slim and stout; heads are a little large, so that faces stay readable."""
        return cls(
            head=rng.uniform(1.08, 1.28),
            legs=rng.uniform(0.92, 1.06),
            arms=rng.uniform(0.95, 1.06),
            shoulders=rng.uniform(0.88, 1.12),
            hips=rng.uniform(0.92, 1.15),
            girth=float(np.clip(rng.normal(1.0, 0.12), 0.8, 1.4)),
        )

    @property
    def hip_height(self) -> float:
        """Height of the hip joints (m)."""
        return 0.92 * self.legs

    @property
    def shoulder_height(self) -> float:
        """Height of the shoulder joints (m)."""
        return self.hip_height + 0.50

    @property
    def head_centre(self) -> Floats:
        """Centre of the skull."""
        return np.array([0.0, self.shoulder_height + 0.10 + 0.10 * self.head, 0.02])

    @property
    def head_radii(self) -> Floats:
        """Half width, height and depth of the skull (m)."""
        return np.array([0.078, 0.118, 0.096]) * self.head

    @property
    def stature(self) -> float:
        """Height from sole to crown (m)."""
        return float(self.head_centre[1] + self.head_radii[1])

    def origins(self) -> Floats:
        """[B, 3] the joint about which each bone turns."""
        hip, shoulder = self.hip_height, self.shoulder_height
        middle = {
            "pelvis": (0, hip + 0.03, 0),
            "spine": (0, hip + 0.10, 0),
            "chest": (0, hip + 0.28, -0.01),
            "neck": (0, shoulder + 0.045, -0.01),
            "head": (0, shoulder + 0.11, 0.0),
        }
        left = {
            "shoulder": (0.03, shoulder - 0.01, 0),
            "upper_arm": (0.175 * self.shoulders, shoulder, -0.01),
            "forearm": (0.19 * self.shoulders, shoulder - 0.29 * self.arms, -0.02),
            "hand": (0.20 * self.shoulders, shoulder - 0.545 * self.arms, -0.01),
            "thigh": (0.098 * self.hips, hip, 0),
            "shin": (0.10 * self.hips, 0.09 + 0.46 * (hip - 0.09), 0.01),
            "foot": (0.10 * self.hips, 0.09, -0.01),
        }
        rows = [middle[b.name] if b.side == 0 else left[b.name.split("_", 1)[1]] for b in BONES]
        origins = np.array(rows, dtype=np.float64)
        origins[:, 0] *= [b.side or 1 for b in BONES]
        return origins


@dataclass(frozen=True)
class Landmark:
    """A point that data sets label.

    Args:
        bone: the bone that carries it.
        rest: [3] its place at rest (m).
        depth: how far the skin (and cloth) may lie in front of the point while it still counts as seen (m).
    """

    bone: int
    rest: Floats
    depth: float


def landmarks(build: Build) -> dict[str, Landmark]:
    """Every point that can be labelled, by the names that data sets use."""
    origins = build.origins()
    head, centre, radii = BONE["head"], build.head_centre, build.head_radii
    neck = np.array([0.0, build.shoulder_height + 0.045, 0.0])
    crown = centre + radii * (0, 1, 0)
    found = {
        "nose": Landmark(head, centre + radii * (0, -0.12, 1.18), 0.04),
        "neck": Landmark(BONE["chest"], neck, 0.12),
        "thorax": Landmark(BONE["chest"], neck - np.array([0, 0.06, 0]), 0.15),
        "upper_neck": Landmark(BONE["neck"], neck + np.array([0, 0.06, 0]), 0.12),
        "top_head": Landmark(head, crown, 0.09),
        "head_top": Landmark(head, crown, 0.09),
        "pelvis": Landmark(BONE["pelvis"], origins[BONE["pelvis"]], 0.20),
    }
    for name, side in (("left", 1), ("right", -1)):
        found[f"{name}_eye"] = Landmark(head, centre + radii * (0.40 * side, 0.10, 0.91), 0.04)
        found[f"{name}_ear"] = Landmark(head, centre + radii * (1.03 * side, -0.02, -0.05), 0.045)
        for joint, part, depth in (
            ("shoulder", "upper_arm", 0.12),
            ("elbow", "forearm", 0.085),
            ("wrist", "hand", 0.07),
            ("hip", "thigh", 0.17),
            ("knee", "shin", 0.12),
            ("ankle", "foot", 0.10),
        ):
            bone = BONE[f"{name}_{part}"]
            found[f"{name}_{joint}"] = Landmark(bone, origins[bone], depth * max(1.0, build.girth))
    return found
