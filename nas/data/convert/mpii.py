"""MPII Human Pose: the released Matlab file, and the JSON lists that training code commonly uses.

Matlab counts pixels from 1, so 1 is taken off every coordinate. The box is the joints' extent with a margin
of a tenth of the person's height, which MPII states as `scale` (in units of 200 px). Sources: the annotation
description that comes with the set, and the HRNet project's JSON.
"""

from pathlib import Path
from typing import Any

import numpy as np

from nas.coco.categories import map_joints
from nas.data.convert.boxes import clipped_box, joints_box
from nas.data.convert.coco_file import (
    Conversion,
    image_entry,
    image_ids,
    left_out,
    person_category,
    person_entry,
    shared_joints,
)
from nas.data.convert.image_sizes import image_sizes
from nas.data.convert.mpii_matlab import matlab_people
from nas.data.convert.mpii_people import REFERENCE_HEIGHT, MpiiPerson, json_people
from nas.data.threads import Progress
from nas.errors import UserError
from nas.files import is_folder
from nas.space.skeleton import Skeleton


def convert_mpii(
    source: Path, images: Path | None, *, skeleton: Skeleton | None = None, progress: Progress | None = None
) -> Conversion:
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
    if images is None:
        raise UserError("MPII states no image sizes: give the image folder as `images`")
    if not is_folder(images):
        raise UserError(f"{images}: no such folder of images")
    own = Skeleton.load("mpii16")
    wanted = skeleton or own
    remarks = shared_joints(own, wanted, source)
    people, reasons = matlab_people(source) if source.suffix == ".mat" else (list(json_people(source)), [])
    if not people:
        raise UserError(f"{source}: it holds no annotated training image")
    names = sorted({person.image for person in people})
    read_sizes = image_sizes([images / name for name in names], progress)
    sizes = {name: size for name, size in zip(names, read_sizes, strict=True) if not isinstance(size, str)}
    if not sizes:
        raise UserError(f"{images}: none of the {len(names):,} images is there, such as {names[0]}")
    reasons += [f"image not readable ({why}), left out" for why in read_sizes if isinstance(why, str)]
    ids = dict(zip(sizes, image_ids(list(sizes)), strict=True))
    annotations: list[dict[str, Any]] = []
    for person in people:
        if person.image not in sizes:
            reasons.append("person of an image that is not readable, left out")
            continue
        box = _box(person, sizes[person.image], reasons)
        if box is not None:
            mapped = map_joints(person.keypoints, own, wanted)
            entry = person_entry(len(annotations) + 1, ids[person.image], mapped, bbox=box)
            annotations.append(entry | _extras(person))
    content = {
        "images": [image_entry(ids[name], name, size) for name, size in sizes.items()],
        "annotations": annotations,
        "categories": [person_category(wanted)],
    }
    return Conversion(content, (*remarks, *left_out(reasons)), images)


def _extras(person: MpiiPerson) -> dict[str, Any]:
    """What PCKh needs and COCO has no field for."""
    entry: dict[str, Any] = {}
    if person.head is not None:
        x0, y0, x1, y1 = person.head
        entry["bbox_head"] = [x0, y0, x1 - x0, y1 - y0]
    if person.centre is not None and person.height is not None:
        entry |= {"center": list(person.centre), "scale": person.height / REFERENCE_HEIGHT}
    return entry


def _box(person: MpiiPerson, size: tuple[int, int], reasons: list[str]) -> list[float] | None:
    """Around the joints; for a person without, a square of their height at their place. None is explained."""
    if (person.keypoints[:, 2] > 0).any():
        return joints_box(person.keypoints, size, reasons, height=person.height)
    if person.centre is None or person.height is None:
        reasons.append("person without joints, and without place or size, left out")
        return None
    half = person.height / 2
    box = clipped_box(np.array(person.centre) - half, np.array(person.centre) + half, size)
    if box is None:
        reasons.append("person without joints, whose place lies outside the image, left out")
    return box
