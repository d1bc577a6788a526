"""Painting a posed mesh: back to front, shaded, on a finer canvas that is averaged later."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from nas.arrays import Flags, Floats, Pixels
from nas.demo.people.kinematics import Camera
from nas.demo.people.mesh import Mesh

SUPERSAMPLING = 2
_SHIFT = 4  # fractional bits of the drawing functions
_NOTHING, _THING, _FAR, _NEAR = 0, 1, 2, 255  # codes of the depth channel; from far to near is the person


@dataclass(frozen=True)
class Light:
    """A lamp far away.

    Args:
        direction: [3] unit vector towards it, in view coordinates.
        ambient: brightness of what it does not reach; with `diffuse` it adds up to about one.
        diffuse: brightness that it adds at most.
        tint: [3] factor per colour.
    """

    direction: Floats
    ambient: float
    diffuse: float
    tint: Floats

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Light":
        """From above, seldom from behind."""
        direction = np.array([rng.normal(0, 0.7), rng.uniform(0.2, 1.0), rng.uniform(-0.2, 1.0)])
        ambient = rng.uniform(0.5, 0.8)
        tint = 1 + rng.normal(0, 0.05, 3)
        return cls(direction / np.linalg.norm(direction), ambient, 1.18 - ambient, tint)


@dataclass(frozen=True)
class Figure:
    """A painted person.

    Args:
        silhouette: [H, W] bool on the fine canvas, occluded parts included.
        painted: [H, W] bool where the person or a thing of theirs was painted.
        depth: [H, W] 0 where the person is not on top, else larger is nearer.
        range: z (m) of the farthest and nearest depth.
    """

    silhouette: Flags
    painted: Flags
    depth: Pixels
    range: tuple[float, float]

    def code(self, z: float) -> float:
        """A depth (m, nearer is larger) in the units of `depth`."""
        low, high = self.range
        return _FAR + (z - low) / (high - low) * (_NEAR - _FAR)


def to_fine(pixels: Floats) -> Floats:
    """Image coordinates on the fine canvas; in both the first pixel's centre is (0, 0)."""
    return (pixels + 0.5) * SUPERSAMPLING - 0.5


def paint_figure(
    canvas: Pixels, mesh: Mesh, posed: Floats, camera: Camera, light: Light, rng: np.random.Generator
) -> Figure:
    """Paint a person over the canvas [H, W, 4] (RGB and depth code), the fourth channel of which is reset."""
    view = camera.view(posed)
    fine = to_fine(camera.project(view))
    corners = fine[mesh.quads]
    seen = _signed_area(corners) < 0.0
    quads, corners = mesh.quads[seen], corners[seen]
    points = view[quads]
    body = mesh.body[seen]
    z = points[:, :, 2].mean(axis=1)
    low, high = float(z.min()) - 1e-3, float(z.max()) + 1e-3
    code = np.where(body, np.rint(_FAR + (z - low) / (high - low) * (_NEAR - _FAR)), _THING)
    colours = _shade(points, mesh.colours[seen], light, rng)
    order = np.argsort(z + mesh.lift[seen], kind="stable")
    polygons = np.rint(corners * 2**_SHIFT).astype(np.int32)[order]
    values = np.column_stack([colours, code])[order]
    clear_marks(canvas)
    _fill(canvas, polygons, values.tolist())
    codes = marks(canvas)
    painted = codes != _NOTHING
    silhouette = painted
    if not body.all():
        whole = np.zeros(codes.shape, dtype=np.uint8)
        _fill(whole, polygons[body[order]], [(1.0,)] * int(body.sum()))
        silhouette = whole > 0
    depth = cv2.threshold(codes, _THING, 0, cv2.THRESH_TOZERO)[1]
    return Figure(silhouette, painted, depth, (low, high))


def marks(canvas: Pixels) -> Pixels:
    """[H, W] a copy of the canvas's fourth channel."""
    return np.asarray(cv2.extractChannel(canvas, 3))


def clear_marks(canvas: Pixels) -> None:
    """Zero the canvas's fourth channel."""
    cv2.insertChannel(np.zeros(canvas.shape[:2], dtype=np.uint8), canvas, 3)


def _fill(
    canvas: Pixels, polygons: NDArray[np.int32], values: list[list[float]] | list[tuple[float]]
) -> None:
    fill = cv2.fillConvexPoly
    for polygon, value in zip(list(polygons), values, strict=True):
        fill(canvas, polygon, value, cv2.LINE_8, _SHIFT)


def _signed_area(corners: Floats) -> Floats:
    """[Q] twice the area in pixels, negative where the outside faces the camera (y points down)."""
    a, b = corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]
    return np.asarray(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])


def _shade(points: Floats, colours: Floats, light: Light, rng: np.random.Generator) -> Floats:
    """Lambert shading with the grain of cloth and skin."""
    normals = np.cross(points[:, 2] - points[:, 0], points[:, 3] - points[:, 1])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    lit = light.ambient + light.diffuse * np.maximum(0.0, normals @ light.direction)
    lit *= 0.86 + 0.14 * np.clip(normals[:, 2], 0, 1)  # edges turn away from the eye
    lit *= 1 + rng.normal(0.0, 0.03, len(lit))
    return np.clip(colours * lit[:, None] * light.tint, 0, 255)
