"""MPII Human Pose: the released Matlab file, and the JSON lists that training code commonly uses.

Matlab counts pixels from 1, so 1 is taken off every coordinate. The box is the joints' extent with a margin
of a tenth of the person's height, which MPII states as `scale` (in units of 200 px). Sources: the annotation
description that comes with the set, and the HRNet project's JSON.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data.convert.coco_file import (
    Converted,
    Progress,
    check_shared,
    extent_box,
    image_entry,
    image_ids,
    left_out,
    map_joints,
    person_category,
    person_entry,
)
from nas.data.convert.image_sizes import image_sizes
from nas.errors import UserError
from nas.space.skeleton import Skeleton

REFERENCE_HEIGHT = 200.0
"""A person of scale 1 is so many px high."""

_JOINTS = 16


@dataclass(frozen=True, eq=False)
class _Person:
    """One person, in pixels counted from 0: `head` is x0, y0, x1, y1 of the head box; `height` in px."""

    image: str
    keypoints: NDArray[np.float64]
    centre: tuple[float, float] | None
    height: float | None
    head: tuple[float, float, float, float] | None


def convert_mpii(
    source: Path, images: Path | None, *, skeleton: Skeleton | None = None, progress: Progress | None = None
) -> Converted:
    """MPII's training people as a COCO file.

    A visible joint becomes v = 2, one marked as not visible v = 1; the JSON lists do not tell these apart:
    all their labelled joints are v = 2. Head boxes stay as `bbox_head` (x, y, width, height) for PCKh, MPII's
    centre and scale as `center` and `scale`. People without joints stay, unlabelled.

    Args:
        source: `mpii_human_pose_v1_u12_1.mat`, or a JSON list of people.
        images: the image folder; MPII states no image sizes.
        skeleton: the wanted joints; by default MPII's 16.
        progress: called while image sizes are read.

    Raises:
        UserError: no such file or folder, another content, no image of the list exists.
    """
    if images is None or not images.is_dir():
        raise UserError("MPII states no image sizes: give the image folder with --images FOLDER")
    own = Skeleton.load("mpii16")
    wanted = skeleton or own
    check_shared(own, wanted, source)
    people = list(_matlab_people(source) if source.suffix == ".mat" else _json_people(source))
    if not people:
        raise UserError(f"{source}: it holds no annotated training image")
    names = sorted({person.image for person in people})
    sizes = dict(zip(names, image_sizes([images / name for name in names], progress), strict=True))
    found = [name for name in names if sizes[name] is not None]
    if not found:
        raise UserError(f"{images}: none of the {len(names):,} images is there, such as {names[0]}")
    ids = dict(zip(found, image_ids(found), strict=True))
    annotations: list[dict[str, Any]] = []
    reasons = ["image missing or not readable, left out"] * (len(names) - len(found))
    for person in people:
        size = sizes[person.image]
        if size is None:
            continue
        entry = _entry(person, len(annotations) + 1, ids[person.image], size, own, wanted)
        if entry is None:
            reasons.append("person without joints, place or size, left out")
        else:
            annotations.append(entry)
    content = {
        "images": [image_entry(ids[name], name, size) for name in found if (size := sizes[name])],
        "annotations": annotations,
        "categories": [person_category(wanted)],
    }
    return Converted(content, left_out(reasons), images)


def _entry(
    person: _Person, id_: int, image: int, size: tuple[int, int], own: Skeleton, wanted: Skeleton
) -> dict[str, Any] | None:
    box = extent_box(person.keypoints, size, height=person.height) or _square(person, size)
    if box is None:
        return None
    entry = person_entry(id_, image, map_joints(person.keypoints, own, wanted), bbox=box)
    if person.head is not None:
        x0, y0, x1, y1 = person.head
        entry["bbox_head"] = [x0, y0, x1 - x0, y1 - y0]
    if person.centre is not None and person.height is not None:
        entry |= {"center": list(person.centre), "scale": person.height / REFERENCE_HEIGHT}
    return entry


def _square(person: _Person, size: tuple[int, int]) -> list[float] | None:
    """The place of a person without joints: a square of their height, cut at the image."""
    if person.centre is None or person.height is None:
        return None
    x, y = person.centre
    corners = np.array([[x, y, 2.0]]) + np.array([[-1, -1, 0], [1, 1, 0]]) * person.height / 2
    return extent_box(corners, size, height=0.0)


def _matlab_people(source: Path) -> Iterator[_Person]:
    from scipy.io import loadmat

    try:
        release = loadmat(source, struct_as_record=False, squeeze_me=True)["RELEASE"]
        images, training = _items(release.annolist), np.atleast_1d(release.img_train)
    except OSError as error:
        raise UserError(f"{source}: cannot be read ({error.strerror or error})") from None
    except (KeyError, AttributeError, ValueError, TypeError, NotImplementedError):
        raise UserError(f"{source}: not MPII's Matlab file, it has no RELEASE.annolist") from None
    if len(images) != len(training):
        raise UserError(f"{source}: {len(images)} images, but 'img_train' is of {len(training)}")
    for number, (image, train) in enumerate(zip(images, training, strict=True), 1):
        if not train:
            continue
        try:
            for person in _items(getattr(image, "annorect", None)):
                yield _matlab_person(person, str(image.image.name))
        except (AttributeError, TypeError, ValueError, IndexError):
            raise UserError(f"{source}: image {number} of annolist is not as MPII describes it") from None


def _matlab_person(person: Any, image: str) -> _Person:
    keypoints = np.zeros((_JOINTS, 3))
    for annotated in _items(getattr(person, "annopoints", None)):
        for point in _items(annotated.point):
            # Head top and neck carry no flag; older files hold it as text.
            visible = np.size(getattr(point, "is_visible", ())) == 0 or int(point.is_visible) > 0
            keypoints[int(point.id)] = (float(point.x) - 1, float(point.y) - 1, 2 if visible else 1)
    corners = [_number(person, name) for name in ("x1", "y1", "x2", "y2")]
    places = _items(getattr(person, "objpos", None))
    x, y = (_number(places[0], "x"), _number(places[0], "y")) if places else (None, None)
    scale = _number(person, "scale")
    head = [corner - 1 for corner in corners if corner is not None]
    return _Person(
        image=image,
        keypoints=keypoints,
        centre=None if x is None or y is None else (x - 1, y - 1),
        height=None if scale is None else scale * REFERENCE_HEIGHT,
        head=(head[0], head[1], head[2], head[3]) if len(head) == 4 else None,
    )


def _items(value: Any) -> list[Any]:
    """A Matlab struct array as a list: nothing, one or several."""
    if value is None:
        return []
    return list(value.ravel()) if isinstance(value, np.ndarray) else [value]


def _number(struct: Any, name: str) -> float | None:
    value = getattr(struct, name, None)
    return None if value is None or np.size(value) == 0 else float(value)


def _json_people(source: Path) -> Iterator[_Person]:
    try:
        rows = json.loads(source.read_bytes())
    except OSError as error:
        raise UserError(f"{source}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise UserError(f"{source}: neither MPII's .mat file nor JSON") from None
    if not isinstance(rows, list):
        raise UserError(f"{source}: expected a list of people with 'image', 'joints', 'joints_vis'")
    for number, row in enumerate(rows):
        try:
            joints = np.array(row["joints"], np.float64).reshape(_JOINTS, 2) - 1
            labelled = np.array(row["joints_vis"], np.float64).reshape(_JOINTS) > 0
            scale = float(row["scale"])
            keypoints = np.concatenate([joints, 2.0 * labelled[:, None]], axis=1)
            keypoints[~labelled] = 0
            x, y = (float(value) - 1 for value in row["center"])
            head = _head(row)
            yield _Person(str(row["image"]), keypoints, (x, y), scale * REFERENCE_HEIGHT, head)
        except (KeyError, TypeError, ValueError):
            raise UserError(
                f"{source}: person {number} is not as expected: 'image', 'center', 'scale', {_JOINTS} "
                f"'joints' and 'joints_vis' are needed (the lists of test images have no joints)"
            ) from None


def _head(row: dict[str, Any]) -> tuple[float, float, float, float] | None:
    """The head box of a JSON person, where a list carries one as two corners."""
    corners = next((row[name] for name in ("head_box", "headbox", "head_rect") if row.get(name)), None)
    if corners is None:
        return None
    x0, y0, x1, y1 = (np.array(corners, np.float64).reshape(4) - 1).tolist()
    return x0, y0, x1, y1
