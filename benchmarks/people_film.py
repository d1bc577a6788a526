"""A generated film of people who walk, cross, leave and come, with what is known about them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from nas.arrays import Floats, Pixels
from nas.demo.people.anatomy import BONE, BONES, Build, landmarks
from nas.demo.people.backdrop import sample_backdrop
from nas.demo.people.body import person_mesh
from nas.demo.people.draw import SUPERSAMPLING, Figure, Light, paint_figure
from nas.demo.people.kinematics import Camera, turn_y
from nas.demo.people.labels import Joint, annotation, keypoints_of
from nas.demo.people.limits import within_limits
from nas.demo.people.mesh import Mesh
from nas.demo.people.outfit import Outfit
from nas.demo.people.poses import Pose
from nas.space.skeleton import Skeleton

SIZE = (540, 960)
RATE = 30.0
SECONDS = 10.0
_NOISE = 3.0
_STRIDE, _STEPS = 24.0, 0.9


@dataclass(frozen=True)
class Walker:
    """Somebody who walks along a line, or stands.

    Args:
        seed: of how they look.
        start: x (px) at second 0.
        speed: px per second; 0 stands.
        y: of the middle (px).
        scale: px per metre; who is larger is nearer.
    """

    seed: int
    start: float
    speed: float
    y: float
    scale: float

    @cached_property
    def build(self) -> Build:
        """How they are built."""
        return Build.sample(np.random.default_rng(self.seed))

    @cached_property
    def mesh(self) -> Mesh:
        """Their surface at rest."""
        return person_mesh(self.build, Outfit.sample(np.random.default_rng(self.seed)))

    def camera(self, seconds: float) -> Camera:
        """How they are seen."""
        turned = turn_y(40 * float(np.sign(self.speed)))
        middle = np.array([0.0, self.build.stature / 2, 0.0])
        return Camera(turned, middle, 6.0, self.scale, (self.start + self.speed * seconds, self.y))

    def transforms(self, seconds: float) -> Floats:
        """What moves each bone, [B, 3, 4]."""
        angles = np.zeros((len(BONES), 3))
        phase = 2 * np.pi * _STEPS * seconds + self.seed
        stride = _STRIDE * bool(self.speed)
        for side, shift in (("left", 0.0), ("right", np.pi)):
            swing, lifted = np.sin(phase + shift), max(0.0, float(np.cos(phase + shift))) * bool(self.speed)
            knee = 5 + 40 * lifted
            angles[BONE[f"{side}_thigh"]] = 3 + stride * swing, 3, 3
            angles[BONE[f"{side}_shin"], 0] = -knee
            angles[BONE[f"{side}_foot"], 0] = np.clip(knee - stride * swing, -30, 25)
            angles[BONE[f"{side}_upper_arm"]] = -0.9 * stride * swing, 14, -5
            angles[BONE[f"{side}_forearm"], 0] = 20
        return Pose("walk", within_limits(angles), np.eye(3)).transforms(self.build)


PEOPLE = (
    Walker(1, 40, 82, 310, 160),
    Walker(2, 930, -82, 325, 172),
    Walker(3, 480, 0, 105, 88),
    Walker(4, 130, -80, 320, 168),
    Walker(5, 1640, -95, 330, 180),
)
"""The first and the second cross at about 5 s, the first and the last at about 9; the third stands far away,
the fourth leaves, the last comes at about 7 s."""


@dataclass(frozen=True)
class FilmFrame:
    """A frame and its people.

    Args:
        pixels: [H, W, 3] RGB.
        seconds: since the first one.
        people: COCO fields of each, by their number in `PEOPLE`; of those who are to be seen.
        seen: the share of each that nobody stands before.
    """

    pixels: Pixels
    seconds: float
    people: dict[int, dict[str, Any]]
    seen: dict[int, float]


def film(skeleton: Skeleton, people: Sequence[Walker] = PEOPLE, *, seed: int = 0) -> Iterator[FilmFrame]:
    """Every frame, with the noise of a camera."""
    rng = np.random.default_rng(seed)
    backdrop, light = sample_backdrop(SIZE, rng), Light.sample(rng)
    for number in range(round(SECONDS * RATE)):
        yield _draw(backdrop, light, skeleton, people, seconds=number / RATE, rng=rng)


def _draw(
    backdrop: Pixels,
    light: Light,
    skeleton: Skeleton,
    people: Sequence[Walker],
    *,
    seconds: float,
    rng: np.random.Generator,
) -> FilmFrame:
    height, width = SIZE
    fine = (width * SUPERSAMPLING, height * SUPERSAMPLING)
    canvas = cv2.resize(cv2.cvtColor(backdrop, cv2.COLOR_RGB2RGBA), fine, interpolation=cv2.INTER_LINEAR)
    figures: list[tuple[int, Figure, dict[str, Joint]]] = []
    for number in sorted(range(len(people)), key=lambda number: people[number].scale):
        walker = people[number]
        camera, transforms = walker.camera(seconds), walker.transforms(seconds)
        # The grain of cloth and skin stays with its owner.
        grain = np.random.default_rng(walker.seed)
        figure = paint_figure(canvas, walker.mesh, walker.mesh.posed(transforms), camera, light, grain)
        figures.append((number, figure, _joints(walker, camera, transforms)))
    covered = np.zeros(canvas.shape[:2], np.bool_)
    found, seen = {}, {}
    for number, figure, joints in reversed(figures):
        whole = np.count_nonzero(figure.silhouette)
        keypoints = keypoints_of(joints, skeleton, figure, covered, SIZE)
        if whole and (keypoints[:, 2] > 0).sum() >= 6:
            found[number] = annotation(keypoints, figure)
            seen[number] = np.count_nonzero(figure.silhouette & ~covered) / whole
        covered |= figure.painted
    image = cv2.cvtColor(
        cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA), cv2.COLOR_RGBA2RGB
    )
    noisy = image + rng.normal(0, _NOISE, image.shape)
    return FilmFrame(np.clip(noisy, 0, 255).astype(np.uint8), seconds, found, seen)


def _joints(walker: Walker, camera: Camera, transforms: Floats) -> dict[str, Joint]:
    marks = landmarks(walker.build)
    points = [
        transforms[mark.bone, :, :3] @ mark.rest + transforms[mark.bone, :, 3] for mark in marks.values()
    ]
    view = camera.view(np.array(points))
    return {
        name: Joint((float(x), float(y)), float(z), mark.depth)
        for (name, mark), (x, y), z in zip(marks.items(), camera.project(view), view[:, 2], strict=True)
    }
