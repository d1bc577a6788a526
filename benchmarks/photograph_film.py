"""A film that a camera takes of photographs: it rests, pans, rests again, and goes on to the next one."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from people_film import RATE, SIZE, FilmFrame

from nas.arrays import Floats, Pixels
from nas.codecs.affine import Affine, affine_scale, apply_affine
from nas.data import Annotations, load_annotations
from nas.pictures import read_picture
from nas.space.skeleton import Skeleton

PHOTOGRAPHS = 5
SECONDS = 2.0
_REST, _MOVE = 0.4, 0.4
"""Shares of each photograph's time: before and while the camera moves; the others it rests once more."""

_SHOWN = 0.75
"""How much of a photograph is seen at once, along the side by which it moves."""

_MOST_PEOPLE, _LEAST_JOINTS = 6, 5
_WIDER = 1.2
_NOISE = 3.0


def film(
    skeleton: Skeleton, annotations: Path, images: Path, *, photographs: int = PHOTOGRAPHS, seed: int = 0
) -> Iterator[FilmFrame]:
    """Every frame, with the noise of a camera.

    Args:
        skeleton: of the labels.
        annotations: a COCO keypoint file.
        images: the folder of its photographs.
        photographs: how many: wide ones on which everybody is labelled well, those of more people first.
        seed: of the noise.
    """
    data, rng = load_annotations(annotations, images, skeleton), np.random.default_rng(seed)
    good = [image for image in range(len(data.images)) if _is_labelled_well(data, image)]
    good.sort(key=lambda image: -np.count_nonzero(data.people.image == image))
    moments, number = round(SECONDS * RATE), 0
    for place, image in enumerate(good[:photographs]):
        rows = data.people_of(image)
        picture = read_picture(data.image_file(image))
        for moment in range(moments):
            view = _view((picture.shape[0], picture.shape[1]), moment / moments)
            seconds = (place * moments + moment) / RATE
            yield _frame(picture, view, data, rows, first=number, seconds=seconds, rng=rng)
        number += rows.stop - rows.start


def _is_labelled_well(data: Annotations, image: int) -> bool:
    rows = data.people_of(image)
    labelled = (data.people.keypoints[rows, :, 2] > 0).sum(1)
    height, width = data.images[image].size
    wide, few = width >= _WIDER * height, 0 < len(labelled) <= _MOST_PEOPLE
    return wide and few and bool((labelled >= _LEAST_JOINTS).all())


def _view(size: tuple[int, int], time: float) -> Affine:
    """What the camera sees of a photograph of that size (h, w) at a share of its time."""
    height, width = SIZE
    along = size[1] / size[0] > width / height
    scale = width / (_SHOWN * size[1]) if along else height / (_SHOWN * size[0])
    scale = max(scale, height / size[0], width / size[1])
    moved = np.clip((time - _REST) / _MOVE, 0, 1)
    shift = -moved * np.array([size[1] * scale - width, size[0] * scale - height])
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])


def _frame(
    picture: Pixels,
    view: Affine,
    data: Annotations,
    rows: slice,
    *,
    first: int,
    seconds: float,
    rng: np.random.Generator,
) -> FilmFrame:
    height, width = SIZE
    shown = cv2.warpAffine(picture, view, (width, height), flags=cv2.INTER_LINEAR)
    noisy = shown + rng.normal(0, _NOISE, shown.shape)
    people, seen = {}, {}
    keypoints = apply_affine(data.people.keypoints[rows], view)
    outside = (keypoints[..., :2] < 0).any(-1) | (keypoints[..., :2] > (width - 1, height - 1)).any(-1)
    keypoints[outside] = 0
    corners = apply_affine(data.people.boxes[rows].reshape(-1, 2, 2), view).reshape(-1, 4)
    inside = np.clip(corners, -0.5, np.tile((width, height), 2) - 0.5)
    areas = data.people.areas[rows] * affine_scale(view) ** 2
    for row, (own, box, part) in enumerate(zip(keypoints, corners, inside, strict=True)):
        share = _area(part) / _area(box)
        if (own[:, 2] > 0).sum() < _LEAST_JOINTS:
            continue
        seen[first + row] = share
        people[first + row] = {
            "keypoints": own.flatten().tolist(),
            "num_keypoints": int((own[:, 2] > 0).sum()),
            "bbox": [*(part[:2] + 0.5), *(part[2:] - part[:2])],
            "area": float(areas[row] * share),
            "iscrowd": 0,
        }
    return FilmFrame(np.clip(noisy, 0, 255).astype(np.uint8), seconds, people, seen)


def _area(box: Floats) -> float:
    return float(np.prod(box[2:] - box[:2]))
