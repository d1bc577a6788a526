"""Neck, head, face and hair: what tells where a person looks."""

import numpy as np

from nas.arrays import Floats
from nas.demo.people.anatomy import BONE, Build
from nas.demo.people.mesh import MeshBuilder, Y, Z, bone_weights, quad_directions, sphere, tube_quads
from nas.demo.people.outfit import Outfit

_RINGS, _SIDES = 12, 16
_LIPS = np.array([150.0, 62.0, 62.0])
_WHITE, _PUPIL, _GLASSES = np.array([(240.0, 238, 235), (28, 22, 20), (45, 45, 55)])
_CORNERS = np.array([(-1, 1), (-1, -1), (1, -1), (1, 1)])


def add_head(builder: MeshBuilder, build: Build, outfit: Outfit) -> None:
    """Add everything above the shoulders."""
    head = BONE["head"]
    centre, radii = build.head_centre, build.head_radii
    _add_neck(builder, build, outfit)
    around = quad_directions(_RINGS, _SIDES)
    builder.ellipsoid(centre, radii, head, _skull_colours(around, outfit), rings=_RINGS, sides=_SIDES)
    _add_face(builder, centre, radii, outfit, head)
    _add_hair(builder, build, outfit, around, head)


def _add_neck(builder: MeshBuilder, build: Build, outfit: Outfit) -> None:
    low, high = build.shoulder_height + 0.01, float(build.head_centre[1]) - 0.05
    height = np.linspace(high, low, 4)
    radii = np.array([[0.048, 0.050], [0.048, 0.050], [0.052, 0.052], [0.062, 0.056]]) * (
        0.5 + 0.5 * build.girth
    )
    weights = bone_weights(
        (BONE["head"], [1, 0.3, 0, 0]), (BONE["neck"], [0, 0.7, 0.8, 0]), (BONE["chest"], [0, 0, 0.2, 1])
    )
    builder.tube(height[:, None] * Y - 0.005 * Z, radii, weights, 0.93 * outfit.skin, sides=10)


def _hairy(around: Floats) -> np.ndarray:
    """Where hair grows on the unit sphere: behind a line that rises from the neck to the forehead."""
    return np.asarray(around[..., 1] > 0.08 + 0.58 * around[..., 2])


def _skull_colours(around: Floats, outfit: Outfit) -> Floats:
    colours = np.broadcast_to(outfit.skin, around.shape).copy()
    if outfit.hair_style != "bald":
        colours[_hairy(around)] = outfit.hair
    if outfit.beard:
        colours[(around[..., 1] < -0.34) & (around[..., 2] > 0.05)] = 0.5 * (outfit.hair + outfit.skin * 0.5)
    return colours


def _add_face(builder: MeshBuilder, centre: Floats, radii: Floats, outfit: Outfit, head: int) -> None:
    """Eyes, brows, mouth and ears; patches are x, y, half width and half height in head radii."""
    brow, lips = 0.55 * outfit.hair + 0.1 * outfit.skin, 0.6 * _LIPS + 0.3 * outfit.skin
    patches, colours, lift = [(0.0, -0.55, 0.26, 0.06)], [lips], [0.010]
    for side in (1, -1):
        patches += [
            (0.40 * side, 0.10, 0.19, 0.085),
            (0.40 * side, 0.10, 0.10, 0.095),
            (0.40 * side, 0.30, 0.21, 0.04),
        ]
        colours += [_WHITE, _PUPIL, brow]
        lift += [0.010, 0.014, 0.010]
        if outfit.glasses:
            patches.append((0.40 * side, 0.10, 0.26, 0.15))
            colours.append(_GLASSES)
            lift.append(0.018)
        ear = centre + radii * (1.02 * side, -0.02, -0.05)
        builder.ellipsoid(ear, radii * (0.13, 0.24, 0.2), head, 0.92 * outfit.skin, rings=5, sides=6)
    place = np.array(patches)[:, None, :2] + _CORNERS * np.array(patches)[:, None, 2:]
    depth = np.sqrt(np.maximum(0.0, 1.02 - (place**2).sum(axis=2, keepdims=True)))  # wrapped onto the skull
    corners = centre + np.concatenate([place, depth], axis=2).reshape(-1, 3) * radii
    quads = np.arange(len(corners)).reshape(-1, 4)
    builder.quads(corners, head, quads, np.array(colours), lift=np.array(lift))


def _add_hair(builder: MeshBuilder, build: Build, outfit: Outfit, around: Floats, head: int) -> None:
    centre, radii, style = build.head_centre, build.head_radii, outfit.hair_style
    if style in ("short", "long", "bun"):
        _add_cap(builder, centre, radii * 1.09, outfit.hair, around, _hairy(around), head)
    if style == "bun":
        builder.ellipsoid(
            centre + radii * (0, 0.55, -1.1), 0.42 * radii, head, 0.9 * outfit.hair, rings=5, sides=8
        )
    if style == "long":
        drop = np.array([0.5, 0.1, -0.5, -1.1, -1.6, -2.0])
        wide = np.array([[0.8, 0.5], [1.08, 0.62], [1.12, 0.55], [1.08, 0.42], [0.95, 0.3], [0.5, 0.12]])
        weights = bone_weights(
            (BONE["head"], [1, 1, 0.9, 0.6, 0.4, 0.3]), (BONE["chest"], [0, 0, 0.1, 0.4, 0.6, 0.7])
        )
        centres = (
            centre
            + drop[:, None] * radii[1] * Y
            + np.array([-0.5, -0.55, -0.7, -0.85, -0.95, -1.0])[:, None] * radii[2] * Z
        )
        builder.tube(centres, wide * radii[[0, 2]], weights, 0.95 * outfit.hair, sides=10)
    if style == "cap":
        _add_cap(builder, centre + 0.01 * Y, radii * 1.12, outfit.accent, around, around[..., 1] > 0.42, head)
        brim = np.array([(-0.7, 0.5, 0.85), (0.7, 0.5, 0.85), (0.5, 0.42, 1.75), (-0.5, 0.42, 1.75)])
        builder.quads(
            centre + brim * radii, head, np.array([[3, 2, 1, 0]]), 0.8 * outfit.accent, both_sides=True
        )
    if style == "hood":
        hooded = (around[..., 1] > 0.55) | (around[..., 2] < 0.1)
        _add_cap(builder, centre, radii * 1.2, outfit.top.colours[0], around, hooded, head)


def _add_cap(
    builder: MeshBuilder,
    centre: Floats,
    radii: Floats,
    colour: Floats,
    around: Floats,
    where: np.ndarray,
    head: int,
) -> None:
    """The chosen quads of an ellipsoid a little larger than the skull, with strands."""
    rings, sides = around.shape[:2]
    ring, side = np.nonzero(where)
    quads = tube_quads(rings + 1, sides)[ring * sides + side]
    strands = 1.0 + 0.07 * ((side * 7 + ring * 3) % 5 - 2)[:, None] / 2
    builder.quads(centre + sphere(rings + 1, sides) * radii, head, quads, colour * strands, lift=0.002)
