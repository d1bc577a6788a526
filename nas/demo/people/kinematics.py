"""From joint angles to bone transforms, and the camera that looks at them."""

from dataclasses import dataclass

import numpy as np

from nas.arrays import Floats
from nas.demo.people.anatomy import BONES

_PARENTS = tuple(bone.parent for bone in BONES)


def turn_x(degrees: float) -> Floats:
    """[3, 3] rotation about x: y towards z."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def turn_y(degrees: float) -> Floats:
    """[3, 3] rotation about y: z towards x."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def turn_z(degrees: float) -> Floats:
    """[3, 3] rotation about z: x towards y."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def bone_rotations(angles: Floats) -> Floats:
    """Rotations relative to the parent bone.

    Args:
        angles: [B, 3] degrees: raise (a hanging limb forward, a trunk backward), out (to the limb's own
            side) and turn (the front to the limb's own side), applied in the order turn, out, raise.

    Returns:
        [B, 3, 3].
    """
    sides = np.array([bone.side or 1 for bone in BONES])
    rx, rz, ry = np.radians(angles * np.stack([-np.ones_like(sides), sides, sides], axis=1)).T
    (cx, sx), (cy, sy), (cz, sz) = ((np.cos(a), np.sin(a)) for a in (rx, ry, rz))
    rows = (
        (cz * cy, -sz, cz * sy),
        (cx * sz * cy + sx * sy, cx * cz, cx * sz * sy - sx * cy),
        (sx * sz * cy - cx * sy, sx * cz, sx * sz * sy + cx * cy),
    )
    return np.moveaxis(np.array(rows), 2, 0)


def bone_transforms(angles: Floats, origins: Floats) -> Floats:
    """[B, 3, 4] what moves each bone's points from rest to the pose: p' = T[:, :3] p + T[:, 3]."""
    local = bone_rotations(angles)
    transforms = np.empty((len(local), 3, 4))
    for bone, parent in enumerate(_PARENTS):
        rotation, origin = local[bone], origins[bone]
        moved = origin
        if parent >= 0:
            base = transforms[parent]
            rotation = base[:, :3] @ rotation
            moved = base[:, :3] @ origin + base[:, 3]
        transforms[bone, :, :3] = rotation
        transforms[bone, :, 3] = moved - rotation @ origin
    return transforms


@dataclass(frozen=True)
class Camera:
    """A camera that looks at one person from `distance` metres.

    Args:
        rotation: [3, 3] world to view (x right, y up, z towards the camera).
        target: [3] the point of the world that falls on `centre`.
        distance: of the target (m).
        scale: px per metre at the target.
        centre: x, y (px) in the image; the first pixel's centre is (0, 0).
    """

    rotation: Floats
    target: Floats
    distance: float
    scale: float
    centre: tuple[float, float]

    def view(self, points: Floats) -> Floats:
        """[N, 3] points of the world as the camera sees them: x right, y up, z nearer (m)."""
        return np.asarray((points - self.target) @ self.rotation.T)

    def project(self, view: Floats) -> Floats:
        """[N, 2] pixels of points in view coordinates."""
        scale = self.scale * self.distance / np.maximum(self.distance - view[:, 2], 0.3)
        x, y = self.centre
        return np.stack([x + scale * view[:, 0], y - scale * view[:, 1]], axis=1)
