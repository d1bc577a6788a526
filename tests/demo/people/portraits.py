"""Single people before a plain camera."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from nas.arrays import Pixels
from nas.demo.people.anatomy import BONES, Build, landmarks
from nas.demo.people.body import person_mesh
from nas.demo.people.draw import SUPERSAMPLING, Figure, Light, paint_figure
from nas.demo.people.kinematics import Camera, turn_y
from nas.demo.people.labels import Joint
from nas.demo.people.outfit import Outfit
from nas.demo.people.poses import Pose

SIZE = (224, 192)


@dataclass(frozen=True)
class Portrait:
    """A person who stands straight, painted on a blank canvas."""

    canvas: Pixels
    figure: Figure
    joints: dict[str, Joint]


@cache
def portrait(yaw: float) -> Portrait:
    """The person turned by `yaw` degrees: 0 faces the camera, 180 turns the back, 90 shows the right side."""
    rng = np.random.default_rng(3)
    build = Build()
    mesh = person_mesh(build, Outfit.sample(rng))
    transforms = Pose("stand", np.zeros((len(BONES), 3)), np.eye(3)).transforms(build)
    posed = mesh.posed(transforms)
    camera = Camera(turn_y(yaw), posed.mean(axis=0), 5.0, 100.0, (95.5, 105.0))
    canvas = np.zeros((SIZE[0] * SUPERSAMPLING, SIZE[1] * SUPERSAMPLING, 4), dtype=np.uint8)
    light = Light(np.array([0.0, 0.0, 1.0]), 0.7, 0.3, np.ones(3))
    figure = paint_figure(canvas, mesh, posed, camera, light, rng)
    marks = landmarks(build)
    view = camera.view(np.array([mark.rest for mark in marks.values()]))
    joints = {
        name: Joint((float(x), float(y)), float(z), mark.depth)
        for (name, mark), (x, y), z in zip(marks.items(), camera.project(view), view[:, 2], strict=True)
    }
    return Portrait(canvas, figure, joints)
