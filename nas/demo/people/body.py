"""The surface of a clothed person at rest."""

from collections.abc import Sequence

import numpy as np

from nas.arrays import Floats
from nas.demo.people.anatomy import BONE, Build
from nas.demo.people.head import add_head
from nas.demo.people.mesh import Mesh, MeshBuilder, X, Y, Z, bone_weights
from nas.demo.people.outfit import Cloth, Outfit
from nas.demo.people.things import Thing

_SIDES = 8
_TRUNK_SIDES = 16
_CAP = np.array([[-0.85, 0.35], [-0.5, 0.8]])  # rings of a rounded end: offset and radius, in radii

# Trunk from neck to crotch:
# share of the way from hips (0) to shoulders (1), half width, half depth and forward (m).
_TRUNK = np.array(
    [
        (1.10, 0.058, 0.056, -0.005),
        (1.06, 0.095, 0.066, -0.012),
        (1.02, 0.148, 0.080, -0.014),
        (0.93, 0.176, 0.098, -0.010),
        (0.80, 0.172, 0.112, 0.000),
        (0.66, 0.160, 0.112, 0.004),
        (0.50, 0.146, 0.104, 0.002),
        (0.36, 0.142, 0.102, 0.000),
        (0.24, 0.150, 0.108, -0.002),
        (0.12, 0.162, 0.114, -0.008),
        (0.00, 0.168, 0.114, -0.010),
        (-0.10, 0.155, 0.105, -0.008),
        (-0.17, 0.090, 0.080, -0.004),
    ]
)


def person_mesh(build: Build, outfit: Outfit, things: Sequence[Thing] = ()) -> Mesh:
    """The whole person at rest, with what they sit on or hold."""
    builder = MeshBuilder()
    _add_trunk(builder, build, outfit)
    for name, side in (("left", 1), ("right", -1)):
        _add_arm(builder, build, outfit, name, side)
        _add_leg(builder, build, outfit, name)
    if outfit.skirt:
        _add_skirt(builder, build, outfit)
    if outfit.backpack:
        _add_backpack(builder, build, outfit)
    add_head(builder, build, outfit)
    for add_thing in things:
        add_thing(builder, build)
    return builder.build()


def _add_trunk(builder: MeshBuilder, build: Build, outfit: Outfit) -> None:
    share = _TRUNK[:, 0]
    height = build.hip_height + share * (build.shoulder_height - build.hip_height)
    widen = np.interp(share, [0.0, 0.35, 0.9], [build.hips, 1.0, build.shoulders])
    radii = _TRUNK[:, 1:3] * np.stack([widen, np.ones_like(widen)], axis=1) * build.girth
    centres = height[:, None] * Y + _TRUNK[:, 3:] * Z
    weights = bone_weights(
        (BONE["pelvis"], np.interp(share, [0.05, 0.3], [1, 0])),
        (BONE["spine"], np.interp(share, [0.05, 0.3, 0.4, 0.7], [0, 1, 1, 0])),
        (BONE["chest"], np.interp(share, [0.4, 0.7], [0, 1])),
    )
    level = (height[1:] + height[:-1]) / 2
    angle = _angles(_TRUNK_SIDES)
    covered = level > build.hip_height + outfit.hem
    colours = np.where(
        covered[:, None, None], outfit.top.paint(level, angle), outfit.bottom.paint(level, angle)
    )
    _decorate_front(colours, covered, outfit)
    if outfit.sleeves == 0.0:
        colours[:2] = outfit.skin
    loose = np.where(height > build.hip_height + outfit.hem - 0.02, 0.006 + outfit.loose, 0.004)
    builder.tube(centres, radii + loose[:, None], weights, colours, sides=_TRUNK_SIDES, squareness=0.85)


def _decorate_front(colours: Floats, covered: np.ndarray, outfit: Outfit) -> None:
    """What tells front from back, and a pocket that tells left from right; side 0 is the person's left."""
    front = _TRUNK_SIDES // 4
    rows = np.flatnonzero(covered)
    accent = outfit.accent
    if outfit.top_front == "print":
        colours[3:6, front - 2 : front + 2] = accent
    elif outfit.top_front == "buttons":
        colours[rows[1:], front - 1] *= 0.7
        colours[rows[2::2], front - 1] = accent
    elif outfit.top_front == "zip":
        colours[rows, front - 1 : front + 1] = 0.45 * colours[rows, front - 1 : front + 1] + 30
    elif outfit.top_front == "open":
        colours[rows[1:], front - 2 : front + 2] = accent
    elif outfit.top_front == "pocket":
        colours[3:5, front - 3 : front - 1] = accent
    elif outfit.top_front == "tie":
        colours[1 : rows[-1], front - 1 : front + 1] = accent
    colours[:1, front - 3 : front + 3] = outfit.skin


def _add_limb(
    builder: MeshBuilder,
    start: Floats,
    end: Floats,
    profile: Floats,
    bone: int,
    *,
    skin: Floats,
    cloth: Cloth,
    cover: float,
    loose: float,
    along: float,
) -> None:
    """One segment, rounded at both ends, cloth down to the share `cover` of its length.

    `profile` [K, 2] gives radii (m) at shares of the length; `along` is where the pattern starts (m).
    """
    cover = float(np.clip(cover, 0.0, 1.0))
    share = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    if 0.0 < cover < 1.0:
        share = np.sort(np.concatenate([share, [cover - 1e-3, cover]]))
    radius = np.interp(share, profile[:, 0], profile[:, 1])
    radius = radius + np.where(share < cover, loose * (1 + share), 0.0)
    first, last = radius[0], radius[-1]
    length = end - start
    size = float(np.linalg.norm(length))
    before, after = _CAP[:, 0] * first / size, 1 - _CAP[::-1, 0] * last / size
    place = np.concatenate([before, share, after])
    radius = np.concatenate([_CAP[:, 1] * first, radius, _CAP[::-1, 1] * last])
    middle = (place[1:] + place[:-1]) / 2
    covered = ((middle < cover) & (cover > 0.0)) | (cover == 1.0)
    painted = cloth.paint(along + middle * size, _angles(_SIDES))
    colours = np.where(covered[:, None, None], painted, skin)
    centres = start + place[:, None] * length
    builder.tube(centres, np.stack([radius, radius], axis=1), bone, colours, sides=_SIDES)


def _add_arm(builder: MeshBuilder, build: Build, outfit: Outfit, name: str, side: int) -> None:
    origins = build.origins()
    upper, fore, hand = (BONE[f"{name}_{part}"] for part in ("upper_arm", "forearm", "hand"))
    girth = 0.6 + 0.4 * build.girth
    profiles = (
        (upper, fore, [(0, 0.057), (0.3, 0.054), (1, 0.042)]),
        (fore, hand, [(0, 0.043), (0.3, 0.043), (1, 0.030)]),
    )
    for index, (bone, following, profile) in enumerate(profiles):
        _add_limb(
            builder,
            origins[bone],
            origins[following],
            np.array(profile) * (1, girth),
            bone,
            skin=outfit.skin,
            cloth=outfit.top,
            cover=outfit.sleeves - index,
            loose=outfit.loose,
            along=0.3 * index,
        )
    palm = origins[hand]
    colour = outfit.accent if outfit.gloves else outfit.skin
    weights = hand
    builder.ellipsoid(palm - 0.085 * Y, (0.026, 0.092, 0.046), weights, colour, rings=6, sides=8)
    builder.ellipsoid(
        palm - 0.06 * Y + 0.045 * Z, (0.016, 0.045, 0.018), weights, 0.96 * colour, rings=4, sides=6
    )
    if side > 0:
        watch = palm + np.array([[0, 0.035, 0], [0, 0.01, 0]])
        builder.tube(watch, np.full((2, 2), 0.038), fore, (40, 40, 44), sides=_SIDES)


def _add_leg(builder: MeshBuilder, build: Build, outfit: Outfit, name: str) -> None:
    origins = build.origins()
    thigh, shin, foot = (BONE[f"{name}_{part}"] for part in ("thigh", "shin", "foot"))
    girth = 0.45 + 0.55 * build.girth
    profiles = (
        (thigh, shin, [(0, 0.088), (0.4, 0.080), (1, 0.056)]),
        (shin, foot, [(0, 0.055), (0.3, 0.058), (0.75, 0.040), (1, 0.037)]),
    )
    for index, (bone, following, profile) in enumerate(profiles):
        _add_limb(
            builder,
            origins[bone],
            origins[following],
            np.array(profile) * (1, girth),
            bone,
            skin=outfit.skin,
            cloth=outfit.bottom,
            cover=outfit.legs - index,
            loose=1.4 * outfit.loose,
            along=0.4 * index,
        )
    _add_shoe(builder, origins[foot], outfit.shoes, foot)


def _add_shoe(builder: MeshBuilder, ankle: Floats, colour: Floats, bone: int) -> None:
    """A shoe with a light sole; its length tells where the person faces."""
    forward = np.array([-0.085, -0.075, -0.03, 0.04, 0.11, 0.155, 0.17])
    height = np.array([0.012, 0.04, 0.058, 0.05, 0.032, 0.024, 0.008])
    width = np.array([0.015, 0.036, 0.042, 0.046, 0.05, 0.04, 0.012])
    centres = ankle + forward[:, None] * Z + (height - 0.09)[:, None] * Y
    colours = np.broadcast_to(colour, (6, _SIDES, 3)).copy()
    colours[:, _SIDES // 2 :] = 0.35 * colour + 130
    builder.tube(centres, np.stack([width, height], axis=1), bone, colours, axes=(X, Y), sides=_SIDES)


def _add_skirt(builder: MeshBuilder, build: Build, outfit: Outfit) -> None:
    """Rings from the waist down that follow the thigh of their side."""
    knee = float(build.origins()[BONE["left_shin"], 1])
    top, bottom = build.hip_height + 0.12, build.hip_height + outfit.skirt * (knee - build.hip_height)
    share = np.linspace(0.0, 1.0, 7)
    height = top + share * (bottom - top)
    widen = 0.02 + 0.055 * share
    radii = np.stack([0.158 * build.hips + widen, 0.11 + widen], axis=1) * build.girth
    angle = np.arange(_TRUNK_SIDES) * (2 * np.pi / _TRUNK_SIDES)
    pull = np.clip(1.6 * (share - 0.25), 0, 0.85)[:, None]
    left = (0.5 + 0.42 * np.cos(angle))[None, :]
    shares = [
        np.broadcast_to(a, (7, _TRUNK_SIDES)).ravel() for a in (1 - pull, pull * left, pull * (1 - left))
    ]
    weights = bone_weights(
        *zip((BONE["pelvis"], BONE["left_thigh"], BONE["right_thigh"]), shares, strict=True)
    )
    colours = outfit.bottom.paint((height[1:] + height[:-1]) / 2, _angles(_TRUNK_SIDES))
    builder.tube(height[:, None] * Y, radii, weights, colours, sides=_TRUNK_SIDES, both_sides=True)


def _add_backpack(builder: MeshBuilder, build: Build, outfit: Outfit) -> None:
    height = build.shoulder_height - np.array([0.02, 0.03, 0.2, 0.36, 0.38])
    radii = np.array([[0.06, 0.02], [0.12, 0.06], [0.14, 0.085], [0.13, 0.07], [0.06, 0.02]])
    centres = height[:, None] * Y - (0.1 * build.girth + 0.05) * Z
    builder.tube(centres, radii, BONE["chest"], outfit.accent, sides=10, squareness=0.7)


def _angles(sides: int) -> Floats:
    return np.asarray((np.arange(sides) + 0.5) * (2 * np.pi / sides), dtype=np.float64)
