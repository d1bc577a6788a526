"""MPII's released Matlab file, read in a process of its own: a spoilt one can take scipy's reader down."""

import faulthandler
import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from posixpath import normpath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data.convert.mpii_people import JOINTS, MpiiPerson, checked_person, height_of
from nas.errors import UserError


def matlab_people(source: Path) -> tuple[list[MpiiPerson], list[str]]:
    """The people of all training images, and what was left out, one entry for each.

    Raises:
        UserError: unreadable, or not as MPII describes it.
    """
    # Elsewhere a forked process may not use what the system has loaded.
    context = get_context("fork" if sys.platform == "linux" else "spawn")
    quietly = faulthandler.disable
    try:
        with ProcessPoolExecutor(1, mp_context=context, initializer=quietly) as pool:
            return pool.submit(read_people, source).result()
    except BrokenProcessPool:
        raise UserError(f"{source}: not MPII's Matlab file, or a spoilt one: it cannot be read") from None


def read_people(source: Path) -> tuple[list[MpiiPerson], list[str]]:
    """`matlab_people` in this process."""
    people: list[MpiiPerson] = []
    reasons: list[str] = []
    seen: set[str] = set()
    images, training = _images(source)
    for number, (image, train) in enumerate(zip(images, training, strict=True), 1):
        if not train:
            reasons.append("image of the test set, left out")
            continue
        try:
            name = normpath(str(image.image.name))
            found = [_person(row, name, reasons) for row in _items(getattr(image, "annorect", None))]
        except (AttributeError, TypeError, ValueError, IndexError, OverflowError):
            raise UserError(f"{source}: image {number} of annolist is not as MPII describes it") from None
        if not found:
            reasons.append("training image without annotated people, left out")
        elif name in seen:
            reasons.append("image listed twice, the people of both taken")
        seen.add(name)
        people += found
    return people, reasons


def _images(source: Path) -> tuple[list[Any], NDArray[Any]]:
    """The structs of all images, and which are for training."""
    from scipy.io import loadmat

    try:
        release = loadmat(source, struct_as_record=False, squeeze_me=True)["RELEASE"]
        images, training = _items(release.annolist), np.atleast_1d(release.img_train)
    except OSError as error:
        raise UserError(f"{source}: cannot be read ({error.strerror or error})") from None
    # A spoilt file makes scipy's reader raise whatever comes up, down to errors of zlib.
    except Exception:
        raise UserError(f"{source}: not MPII's Matlab file, it has no RELEASE.annolist") from None
    if training.shape != (len(images),):
        raise UserError(f"{source}: {len(images)} images, but 'img_train' is of {training.size}")
    return images, training


def _person(person: Any, image: str, reasons: list[str]) -> MpiiPerson:
    keypoints = np.zeros((JOINTS, 3))
    for annotated in _items(getattr(person, "annopoints", None)):
        for point in _items(annotated.point):
            joint = int(point.id)
            if not 0 <= joint < JOINTS:
                raise ValueError(f"no joint is {joint}")
            if keypoints[joint, 2]:
                reasons.append("second place of a joint, left out")
                continue
            # Head top and neck carry no flag; older files hold it as text.
            visible = np.size(getattr(point, "is_visible", ())) == 0 or int(point.is_visible) > 0
            keypoints[joint] = (float(point.x) - 1, float(point.y) - 1, 2 if visible else 1)
    corners = [_number(person, name) for name in ("x1", "y1", "x2", "y2")]
    places = _items(getattr(person, "objpos", None))
    x, y = (_number(places[0], "x"), _number(places[0], "y")) if places else (None, None)
    scale = _number(person, "scale")
    head = [corner - 1 for corner in corners if corner is not None]
    return checked_person(
        MpiiPerson(
            image=image,
            keypoints=keypoints,
            centre=None if x is None or y is None else (x - 1, y - 1),
            height=height_of(scale),
            head=(head[0], head[1], head[2], head[3]) if len(head) == 4 else None,
        )
    )


def _items(value: Any) -> list[Any]:
    """A Matlab struct array as a list: nothing, one or several."""
    if value is None:
        return []
    return list(value.ravel()) if isinstance(value, np.ndarray) else [value]


def _number(struct: Any, name: str) -> float | None:
    value = getattr(struct, name, None)
    return None if value is None or np.size(value) == 0 else float(value)
