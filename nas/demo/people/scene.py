"""One picture: people before a background, and what is known about them."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from nas.arrays import Flags, Floats, Pixels
from nas.demo.people.anatomy import Build, Landmark, landmarks
from nas.demo.people.backdrop import sample_backdrop
from nas.demo.people.body import person_mesh
from nas.demo.people.draw import SUPERSAMPLING, Figure, Light, paint_figure
from nas.demo.people.effects import develop
from nas.demo.people.foreground import paint_occluder
from nas.demo.people.kinematics import Camera, turn_x, turn_y, turn_z
from nas.demo.people.labels import Joint, annotation, keypoints_of
from nas.demo.people.mesh import Mesh
from nas.demo.people.outfit import Outfit
from nas.demo.people.poses import Pose, sample_pose
from nas.demo.people.things import held, seat
from nas.space.skeleton import Skeleton

_TRIES = 14
_MIN_JOINTS = 8  # of the body's own twelve and the nose, that must lie in the image
_TRUNCATED = 0.08
_OCCLUDED = 0.2
_FACING = 0.85  # of people are seen more or less from the front, the others from anywhere
_MIN_SEEN = 0.45  # of what people leave of each other, that things must not hide
_BODY = (
    "nose",
    *(f"{s}_{j}" for s in ("left", "right") for j in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")),
)

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Actor:
    """A posed person before a camera, not yet painted."""

    mesh: Mesh
    posed: Floats
    camera: Camera
    joints: dict[str, Joint]
    box: Box
    grounded: bool


@dataclass(frozen=True)
class Scene:
    """A picture [H, W, 3] RGB and the COCO fields of its people, without ids."""

    image: Pixels
    people: list[dict[str, Any]]


def render_scene(
    rng: np.random.Generator, *, size: tuple[int, int], people_per_image: tuple[int, int], skeleton: Skeleton
) -> Scene:
    """Draw one picture of `size` (h, w)."""
    actors = _cast(rng, size, int(rng.integers(people_per_image[0], people_per_image[1] + 1)))
    backdrop = sample_backdrop(size, rng)
    _cast_shadows(backdrop, actors, rng)
    h, w = size
    fine = (w * SUPERSAMPLING, h * SUPERSAMPLING)
    canvas = cv2.resize(cv2.cvtColor(backdrop, cv2.COLOR_RGB2RGBA), fine, interpolation=cv2.INTER_LINEAR)
    light = Light.sample(rng)
    figures = [paint_figure(canvas, a.mesh, a.posed, a.camera, light, rng) for a in actors]
    covered = _paint_occluders(canvas, actors, figures, rng)
    people = []
    for actor, figure in reversed(list(zip(actors, figures, strict=True))):
        people.append(annotation(keypoints_of(actor.joints, skeleton, figure, covered, size), figure))
        covered |= figure.painted
    image = cv2.resize(canvas, (w, h), interpolation=cv2.INTER_AREA)
    return Scene(develop(cv2.cvtColor(image, cv2.COLOR_RGBA2RGB), rng), people)


def _cast(rng: np.random.Generator, size: tuple[int, int], count: int) -> list[Actor]:
    """Up to `count` people, from far to near; one that finds no room is left out, but never the first."""
    actors: list[Actor] = []
    overlap = 0.6 if rng.random() < 0.25 else 0.3
    for _ in range(count):
        actor = _place(rng, size, actors, crowd=count, overlap=overlap)
        if actor is not None:
            actors.append(actor)
    return sorted(actors, key=lambda actor: actor.camera.scale * rng.uniform(0.85, 1.15))


def _place(
    rng: np.random.Generator, size: tuple[int, int], others: list[Actor], *, crowd: int, overlap: float
) -> Actor | None:
    h, w = size
    build, outfit = Build.sample(rng), Outfit.sample(rng)
    pose = sample_pose(build, rng)
    things = []
    if pose.seat is not None:
        things.append(seat(rng, pose.seat))
    if rng.random() < 0.12:
        things.append(held(rng))
    transforms = pose.transforms(build)
    marks = landmarks(build)
    points = np.array([transforms[m.bone, :, :3] @ m.rest + transforms[m.bone, :, 3] for m in marks.values()])
    camera = _look(rng, pose, points.mean(axis=0))
    view = camera.view(points)
    flat = camera.project(view)
    low, high = flat.min(axis=0), flat.max(axis=0)
    extent = float(max(high - low)) + 0.12
    tallest = max(0.7, 1.02 - 0.08 * crowd)
    scale = rng.uniform(0.7 * tallest - 0.07, tallest) * h / (0.55 * extent + 0.45 * build.stature)
    low, high = (low - 0.09) * scale, (high + 0.09) * scale
    for _ in range(_TRIES):
        centre = _spot(rng, low, high, (h, w))
        box = (*(low + centre), *(high + centre))
        pixels = flat * scale + centre
        inside = {
            name: -0.5 <= x <= w - 0.5 and -0.5 <= y <= h - 0.5
            for name, (x, y) in zip(marks, pixels, strict=True)
        }
        if sum(inside[name] for name in _BODY) < _MIN_JOINTS:
            continue
        if all(_shared(box, other.box) < overlap for other in others):
            break
    else:
        return None
    placed = Camera(
        camera.rotation, camera.target, camera.distance, scale, (float(centre[0]), float(centre[1]))
    )
    mesh = person_mesh(build, outfit, things)
    return Actor(
        mesh=mesh,
        posed=mesh.posed(transforms),
        camera=placed,
        joints=_joints(marks, pixels, view),
        box=box,
        grounded=pose.grounded,
    )


def _look(rng: np.random.Generator, pose: Pose, target: Floats) -> Camera:
    """A camera of scale 1 at the origin; people are seen from the front more often than from behind."""
    yaw = rng.normal(0, 35) if rng.random() < _FACING else rng.uniform(-180, 180)
    lying = pose.root[1, 1] < 0.5
    pitch = rng.uniform(10, 65) if lying else float(np.clip(rng.normal(8, 12), -20, 50))
    roll = rng.normal(0, 6)
    rotation = turn_z(roll) @ turn_x(pitch) @ turn_y(yaw)
    return Camera(rotation, target, rng.uniform(2.4, 7.0), 1.0, (0.0, 0.0))


def _spot(rng: np.random.Generator, low: Floats, high: Floats, size: tuple[int, int]) -> Floats:
    """x, y (px) for the target's pixel: inside where there is room, sometimes cut by the border."""
    h, w = size
    first, last = -low, np.array([w - 1, h - 1]) - high
    cut = rng.random() < _TRUNCATED
    margin = 0.3 * (high - low) if cut else 0.0
    lower, upper = np.minimum(first, last) - margin, np.maximum(first, last) + margin
    return np.asarray(rng.uniform(lower, upper))


def _shared(a: Box, b: Box) -> float:
    """Shared area as a share of the smaller box."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))


def _joints(marks: dict[str, Landmark], pixels: Floats, view: Floats) -> dict[str, Joint]:
    return {
        name: Joint((float(x), float(y)), float(z), mark.depth)
        for (name, mark), (x, y), z in zip(marks.items(), pixels, view[:, 2], strict=True)
    }


def _paint_occluders(
    canvas: Pixels, actors: list[Actor], figures: list[Figure], rng: np.random.Generator
) -> Flags:
    """[H, W] fine, where things stand before people; what would hide somebody wholly is taken away."""
    covered = np.zeros(canvas.shape[:2], dtype=bool)
    seen, nearer = [], np.zeros_like(covered)
    for figure in reversed(figures):
        seen.append(figure.silhouette & ~nearer)
        nearer |= figure.painted
    for actor in actors:
        if rng.random() >= _OCCLUDED / len(actors):
            continue
        before = canvas.copy()
        now = covered | paint_occluder(canvas, actor.box, rng)
        if all(np.count_nonzero(part & ~now) >= _MIN_SEEN * np.count_nonzero(part) for part in seen):
            covered = now
        else:
            canvas[:] = before
    return covered


def _cast_shadows(backdrop: Pixels, actors: list[Actor], rng: np.random.Generator) -> None:
    """Soft dark spots under those who touch the ground, in place."""
    h, w = backdrop.shape[:2]
    shade: Pixels = np.full((h // 2 + 1, w // 2 + 1), 255, dtype=np.uint8)
    for actor in (a for a in actors if a.grounded):
        feet = actor.posed[:, 1].argmin()
        pixel = actor.camera.project(actor.camera.view(actor.posed[feet : feet + 1]))[0]
        middle = actor.camera.project(actor.camera.view(actor.posed.mean(axis=0, keepdims=True)))[0]
        radius = 0.22 * actor.camera.scale
        x, y = (0.5 * pixel[0] + 0.5 * middle[0]) / 2, pixel[1] / 2
        axes = (int(radius), max(2, int(0.3 * radius)))
        cv2.ellipse(shade, (int(x), int(y)), axes, 0, 0, 360, float(rng.uniform(90, 190)), cv2.FILLED)
    shade = cv2.resize(cv2.GaussianBlur(shade, (0, 0), 2.5), (w, h), interpolation=cv2.INTER_LINEAR)
    backdrop[:] = cv2.multiply(backdrop, cv2.merge([shade] * 3), scale=1 / 255)
