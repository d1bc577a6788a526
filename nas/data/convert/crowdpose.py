"""CrowdPose: nearly COCO; areas are missing, and sometimes counts and the joints' names."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from nas.data.convert.coco_file import (
    AREA_OF_BOX,
    Converted,
    check_files,
    map_joints,
    person_category,
    shared_joints,
)
from nas.documents import shown
from nas.errors import UserError
from nas.space.skeleton import Skeleton


def convert_crowdpose(source: Path, *, skeleton: Skeleton | None = None) -> Converted:
    """A CrowdPose file with all that the loader needs; crowd indices and everything else stay.

    An area is added where missing: 0.53 of the box, as CrowdPose's evaluation has it.

    Args:
        source: the annotation file.
        skeleton: the wanted joints; by default the file's own, or CrowdPose's 14 where it names none.

    Raises:
        UserError: no such file, its lists are not there or not of objects, or two images of the same file.
    """
    content = _read(source)
    names = ((image.get("file_name"), f"image {shown(image.get('id'))}") for image in content["images"])
    check_files(((name, image) for name, image in names if isinstance(name, str)), source)
    own = _joints(content["categories"], source)
    wanted = skeleton or own
    mapping = shared_joints(own, wanted, source)
    added = 0
    annotations = []
    for row in content["annotations"]:
        row = {"category_id": 1, "iscrowd": 0, **row}
        if "area" not in row:
            added += 1
            row["area"] = round(AREA_OF_BOX * _box_area(row, source), 3)
        annotations.append(row | _mapped(row, own, wanted, source))
    category = content["categories"][0] if content["categories"] else {}
    if category.get("keypoints") != list(wanted.keypoints):
        category = category | person_category(wanted) | {"id": category.get("id", 1)}
    remark = f"area added as {AREA_OF_BOX} of the box ({added:,})"
    return Converted(
        content | {"annotations": annotations, "categories": [category]},
        (*mapping, remark) if added else mapping,
    )


def _read(source: Path) -> dict[str, Any]:
    try:
        content = json.loads(source.read_bytes())
    except OSError as error:
        raise UserError(f"{source}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise UserError(f"{source}: this is not JSON") from None
    if not isinstance(content, dict):
        raise UserError(f"{source}: not a CrowdPose file, it is no object of 'images' and 'annotations'")
    content = {"categories": [], **content}
    for key in ("images", "annotations", "categories"):
        items = content.get(key)
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise UserError(f"{source}: not a CrowdPose file, it has no list of objects {key!r}")
    if len(content["categories"]) > 1:
        raise UserError(f"{source}: not a CrowdPose file, it has {len(content['categories'])} categories")
    return content


def _joints(categories: list[dict[str, Any]], source: Path) -> Skeleton:
    names = categories[0].get("keypoints") if categories else None
    if not names:
        return Skeleton.load("crowdpose14")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{source}: the category's 'keypoints' is no list of names")
    return Skeleton(name=str(source), keypoints=tuple(names), flip_pairs=(), sigmas=())


def _box_area(row: dict[str, Any], source: Path) -> float:
    try:
        _, _, width, height = (float(value) for value in row["bbox"])
    except (KeyError, TypeError, ValueError):
        raise UserError(
            f"{source}: annotation {shown(row.get('id'))} has neither 'area' nor a 'bbox' of 4 numbers"
        ) from None
    return max(width, 0.0) * max(height, 0.0)


def _mapped(row: dict[str, Any], own: Skeleton, wanted: Skeleton, source: Path) -> dict[str, Any]:
    """The keypoints of the wanted skeleton and their count; nothing where the row has none."""
    if "keypoints" not in row:
        return {"num_keypoints": 0}
    try:
        keypoints = np.array(row["keypoints"], np.float64).reshape(len(own), 3)
    except (TypeError, ValueError):
        raise UserError(
            f"{source}: annotation {shown(row.get('id'))}: 'keypoints' is no list of {3 * len(own)} numbers"
        ) from None
    count = {"num_keypoints": int((keypoints[:, 2] > 0).sum())}
    if own.keypoints == wanted.keypoints:
        return count if "num_keypoints" not in row else {}
    mapped = map_joints(keypoints, own, wanted)
    flat = [value for x, y, v in mapped.tolist() for value in (x, y, int(v))]
    return {"keypoints": flat, "num_keypoints": int((mapped[:, 2] > 0).sum())}
