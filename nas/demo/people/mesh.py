"""Surfaces of coloured quads that follow bones."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from nas.arrays import Flags, Floats, Ints
from nas.demo.people.anatomy import BONES

X, Y, Z = np.eye(3)


@dataclass(frozen=True)
class Mesh:
    """Quads whose corners are carried by bones.

    Args:
        vertices: [V, 3] at rest (m).
        weights: [V, B] how much of each bone's movement a vertex takes; rows sum to one.
        quads: [Q, 4] corner indices, counter-clockwise seen from outside.
        colours: [Q, 3] RGB 0..255.
        lift: [Q] how much nearer than it is a quad is drawn (m), for what lies on a surface.
        body: [Q] True where the quad belongs to the person, False for a thing.
    """

    vertices: Floats
    weights: Floats
    quads: Ints
    colours: Floats
    lift: Floats
    body: Flags

    def posed(self, transforms: Floats) -> Floats:
        """[V, 3] the vertices after each bone's [3, 4] transform (linear blend skinning)."""
        blended = (self.weights @ transforms.reshape(len(transforms), 12)).reshape(-1, 3, 4)
        return np.asarray(np.einsum("vij,vj->vi", blended[:, :, :3], self.vertices) + blended[:, :, 3])


def bone_weights(*shares: tuple[int, ArrayLike]) -> Floats:
    """[K, B] weights of K rings from (bone, [K] share) pairs, normalised."""
    columns = [np.asarray(share, dtype=np.float64) for _, share in shares]
    weights: Floats = np.zeros((len(columns[0]), len(BONES)))
    for (bone, _), share in zip(shares, columns, strict=True):
        weights[:, bone] += share
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


@dataclass(frozen=True)
class _Surface:
    """One part before it is joined: `weights` is a bone or [V, B], the rest spreads over all quads."""

    vertices: Floats
    weights: int | Floats
    quads: Ints
    colours: ArrayLike
    lift: ArrayLike
    body: bool


class MeshBuilder:
    """Collects surfaces and joins them into one mesh."""

    def __init__(self) -> None:
        self._surfaces: list[_Surface] = []

    def quads(
        self,
        vertices: Floats,
        weights: int | Floats,
        quads: Ints,
        colours: ArrayLike,
        *,
        lift: ArrayLike = 0.0,
        both_sides: bool = False,
        body: bool = True,
    ) -> None:
        """Add quads.

        Args:
            vertices: [V, 3].
            weights: the bone that carries them all, or [V, B].
            quads: [Q, 4] indices into `vertices`.
            colours: [3] or [Q, 3].
            lift: one for all, or [Q]; see Mesh.
            both_sides: also seen from inside, darker.
            body: see Mesh.
        """
        self._surfaces.append(_Surface(vertices, weights, quads, colours, lift, body))
        if both_sides:
            inside = 0.75 * np.asarray(colours, dtype=np.float64)
            self._surfaces.append(_Surface(vertices, weights, quads[:, ::-1], inside, lift, body))

    def tube(
        self,
        centres: Floats,
        radii: Floats,
        weights: int | Floats,
        colours: ArrayLike,
        *,
        axes: tuple[Floats, Floats] = (X, Z),
        sides: int = 10,
        squareness: float = 1.0,
        both_sides: bool = False,
        body: bool = True,
    ) -> None:
        """Add a surface of elliptic rings.

        Args:
            centres: [K, 3] of the rings; they advance along axes[0] x axes[1].
            radii: [K, 2] along the two axes.
            weights: a bone, [K, B], or [K * sides, B].
            colours: [3], or [K - 1, sides, 3] per quad; side j spans the corners j to j + 1.
            axes: directions of the rings' radii.
            sides: corners of a ring.
            squareness: exponent below 1 makes boxier rings.
            both_sides: also seen from inside, for skirts.
            body: see Mesh.
        """
        circle = _circle(sides)
        if squareness != 1.0:
            circle = np.sign(circle) * np.abs(circle) ** squareness
        spokes = circle[:, :, None] * np.array(axes)
        vertices = (centres[:, None] + np.einsum("ka,sad->ksd", radii, spokes)).reshape(-1, 3)
        if not isinstance(weights, int) and len(weights) == len(centres):
            weights = np.repeat(weights, sides, axis=0)
        self.quads(
            vertices,
            weights,
            tube_quads(len(centres), sides),
            _per_quad(colours),
            both_sides=both_sides,
            body=body,
        )

    def ellipsoid(
        self,
        centre: ArrayLike,
        radii: ArrayLike,
        weights: int | Floats,
        colours: ArrayLike,
        *,
        rings: int = 7,
        sides: int = 10,
        body: bool = True,
    ) -> None:
        """Add an ellipsoid of radii [3]; `colours` as for `tube`, rings from top to bottom."""
        vertices = np.asarray(centre) + sphere(rings, sides) * np.asarray(radii)
        self.quads(vertices, weights, tube_quads(rings, sides), _per_quad(colours), body=body)

    def build(self) -> Mesh:
        """Everything added so far."""
        corners = [len(s.vertices) for s in self._surfaces]
        faces = [len(s.quads) for s in self._surfaces]
        first_corner, first_face = np.cumsum([0, *corners]), np.cumsum([0, *faces])
        mesh = Mesh(
            vertices=np.concatenate([s.vertices for s in self._surfaces]),
            weights=np.zeros((first_corner[-1], len(BONES))),
            quads=np.concatenate([s.quads for s in self._surfaces])
            + np.repeat(first_corner[:-1], faces)[:, None],
            colours=np.empty((first_face[-1], 3)),
            lift=np.empty(first_face[-1]),
            body=np.repeat([s.body for s in self._surfaces], faces),
        )
        for surface, corner, count, face, size in zip(
            self._surfaces, first_corner, corners, first_face, faces, strict=False
        ):
            if isinstance(surface.weights, int):
                mesh.weights[corner : corner + count, surface.weights] = 1.0
            else:
                mesh.weights[corner : corner + count] = surface.weights
            mesh.colours[face : face + size] = surface.colours
            mesh.lift[face : face + size] = surface.lift
        return mesh


@cache
def sphere(rings: int, sides: int) -> Floats:
    """[rings * sides, 3] corners of a unit sphere for `tube_quads`, from top to bottom."""
    latitude, circle = np.linspace(np.pi / 2, -np.pi / 2, rings), _circle(sides)
    flat = np.cos(latitude)[:, None] + 1e-4
    level = np.broadcast_to(np.sin(latitude)[:, None], (rings, sides))
    return np.stack([flat * circle[:, 0], level, flat * circle[:, 1]], axis=2).reshape(-1, 3)


@cache
def quad_directions(rings: int, sides: int) -> Floats:
    """[rings - 1, sides, 3] unit directions of an ellipsoid's quads, for colouring by place."""
    latitude = np.linspace(np.pi / 2, -np.pi / 2, rings)
    latitude = (latitude[1:] + latitude[:-1]) / 2
    angle = (np.arange(sides) + 0.5) * (2 * np.pi / sides)
    level, flat = np.sin(latitude)[:, None], np.cos(latitude)[:, None]
    return np.stack(np.broadcast_arrays(flat * np.cos(angle), level, flat * np.sin(angle)), axis=2)


@cache
def _circle(sides: int) -> Floats:
    angle = np.arange(sides) * (2 * np.pi / sides)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


@cache
def tube_quads(rings: int, sides: int) -> Ints:
    """[(rings - 1) * sides, 4] corner indices of a closed surface of rings."""
    ring, side = (a.ravel() for a in np.meshgrid(np.arange(rings - 1), np.arange(sides), indexing="ij"))
    after = (side + 1) % sides
    return np.stack(
        [ring * sides + side, ring * sides + after, (ring + 1) * sides + after, (ring + 1) * sides + side],
        axis=1,
    )


def _per_quad(colours: ArrayLike) -> Floats:
    """[3] or [Q, 3] from colours that may come as a grid [K, N, 3]."""
    array = np.asarray(colours, dtype=np.float64)
    return array.reshape(-1, 3) if array.ndim > 1 else array
