"""What people sit on and hold: surfaces that move with them but are not them."""

from collections.abc import Callable

import numpy as np

from nas.arrays import Floats
from nas.demo.people.anatomy import BONE, Build
from nas.demo.people.mesh import MeshBuilder, Y, Z

Thing = Callable[[MeshBuilder, Build], None]

_CUTS = 4  # boxes are cut into small quads, so that they sort well against limbs


def seat(rng: np.random.Generator, drop: float) -> Thing:
    """A box, stool or chair whose top lies `drop` metres below the hips."""
    colour = rng.uniform(40, 210, 3)
    size = np.array([rng.uniform(0.36, 0.6), rng.uniform(0.08, 0.45), rng.uniform(0.36, 0.5)])
    back = rng.random() < 0.4

    def add(builder: MeshBuilder, build: Build) -> None:
        top = build.hip_height - drop
        _add_box(builder, np.array([0.0, top - size[1] / 2, 0.04]), size, BONE["pelvis"], colour)
        if back:
            centre = np.array([0.0, top + 0.28, 0.0 - size[2] / 2])
            _add_box(builder, centre, np.array([size[0], 0.56, 0.05]), BONE["pelvis"], 0.85 * colour)

    return add


def held(rng: np.random.Generator) -> Thing:
    """A ball, stick, bag or board in one hand."""
    hand = BONE["left_hand" if rng.random() < 0.5 else "right_hand"]
    colour, kind = rng.uniform(20, 235, 3), rng.choice(["ball", "stick", "bag", "board"])
    size = rng.uniform(0.8, 1.25)

    def add(builder: MeshBuilder, build: Build) -> None:
        palm = build.origins()[hand] - 0.09 * Y
        if kind == "ball":
            radii = np.full(3, 0.11 * size)
            builder.ellipsoid(palm - 0.08 * Y, radii, hand, colour, body=False)
        elif kind == "stick":
            reach = np.linspace(-0.12, 0.75 * size, 8)
            radii = np.full((8, 2), 0.016)
            centres = palm + reach[:, None] * Z
            builder.tube(centres, radii, hand, colour, axes=(np.eye(3)[0], Y), sides=6, body=False)
        elif kind == "bag":
            _add_box(builder, palm - 0.2 * size * Y, size * np.array([0.12, 0.32, 0.36]), hand, colour)
        else:
            _add_box(builder, palm + 0.05 * Z, size * np.array([0.03, 0.28, 0.22]), hand, colour)

    return add


def _add_box(builder: MeshBuilder, centre: Floats, size: Floats, bone: int, colour: Floats) -> None:
    steps = np.linspace(-0.5, 0.5, _CUTS + 1)
    first, second = (a.ravel() for a in np.meshgrid(steps, steps, indexing="ij"))
    corner = (np.arange(_CUTS)[:, None] * (_CUTS + 1) + np.arange(_CUTS)).ravel()
    quads = np.stack([corner, corner + _CUTS + 1, corner + _CUTS + 2, corner + 1], axis=1)
    for axis in range(3):
        for sign in (1.0, -1.0):
            points = np.empty((len(first), 3))
            points[:, axis] = 0.5 * sign
            points[:, (axis + 1) % 3] = first
            points[:, (axis + 2) % 3] = second
            faces = quads if sign > 0 else quads[:, ::-1]
            builder.quads(centre + points * size, bone, faces, colour, body=False)
