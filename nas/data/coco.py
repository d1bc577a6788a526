"""Reading COCO keypoint annotation files."""

import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data.annotations import Annotations, ImageRecord, PersonTable
from nas.documents import shown
from nas.errors import UserError
from nas.space.skeleton import Skeleton

log = logging.getLogger(__name__)

Record = Mapping[str, Any]


def load_annotations(
    path: Path | str, images: Path | str | None, skeleton: Skeleton | None, *, complete: bool = True
) -> Annotations:
    """Read a COCO keypoint file and map its joints, by name, onto a skeleton.

    Joints that the file lacks become unlabelled (v = 0); joints that the skeleton lacks are dropped.

    Args:
        path: the annotation file.
        images: the folder that its file names start from; None where the images are not needed.
        skeleton: the wanted keypoints; None for the file's own, which have neither flip pairs nor sigmas.
        complete: see `Annotations`.

    Raises:
        UserError: the file or folder is missing, is not COCO keypoint JSON, contradicts itself, shares no
            joint with the skeleton, or holds no labelled person.
    """
    path = Path(path)
    folder = None if images is None else Path(images)
    if folder is not None and not folder.is_dir():
        raise UserError(f"{folder}: the image folder does not exist")
    content = read_coco(path)
    category, joints = person_category(content["categories"], path)
    records = _images(content["images"], path)
    rows = [
        row
        for row in _records(content["annotations"], path, "annotations")
        if row.get("category_id") == category
    ]
    people = _people(rows, records, joint_count=len(joints), path=path)
    own = Skeleton(name=str(path), keypoints=tuple(joints), flip_pairs=(), sigmas=())
    skeleton = own if skeleton is None else skeleton
    mapped = _map_joints(people, own, skeleton, path)
    _check_labelled(mapped, skeleton, path)
    return Annotations(path, folder, skeleton, records, mapped, category, complete)


def read_coco(path: Path) -> dict[str, Any]:
    """The content of a file that has COCO's lists, whatever they hold. Raises UserError for any other."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: the annotation file does not exist") from None
    except OSError as error:
        raise UserError(f"{path}: the annotation file cannot be read ({error.strerror})") from None
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}: broken JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: this is not a JSON text file") from None
    except (ValueError, RecursionError):
        raise UserError(f"{path}: broken JSON: a number or a nesting without measure") from None
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise UserError(f"{path}: not a COCO keypoint file, it has no list {key!r}")
    return dict(content)


def person_category(categories: Sequence[Any], path: Path) -> tuple[int, list[str]]:
    """The id and joint names of the category that has keypoints; of several, the one named person.

    Raises:
        UserError: there is none, there are several, or a joint is named twice.
    """
    found = [item for item in _records(categories, path, "categories") if item.get("keypoints")]
    named = [item for item in found if item.get("name") == "person"]
    chosen = found if len(found) == 1 else named
    if len(chosen) != 1:
        problem = "several categories name 'keypoints'" if found else "no category names its 'keypoints'"
        raise UserError(f"{path}: not a COCO keypoint file of people, {problem}")
    joints = chosen[0]["keypoints"]
    if not isinstance(joints, list) or not all(isinstance(name, str) for name in joints):
        raise UserError(f"{path}: the category's 'keypoints' must be a list of names, got {shown(joints)}")
    if len(set(joints)) != len(joints):
        raise UserError(f"{path}: the category names a keypoint twice: {shown(joints)}")
    return _integer(chosen[0], "id", f"{path}: category"), joints


def _images(images: Sequence[Any], path: Path) -> tuple[ImageRecord, ...]:
    records = tuple(_image(item, path) for item in _records(images, path, "images"))
    if not records:
        raise UserError(f"{path}: the split is empty, it lists no image")
    _check_unique([record.id for record in records], f"{path}: image")
    return records


def _image(item: Record, path: Path) -> ImageRecord:
    where = f"{path}: image {shown(item.get('id'))}"
    name = item.get("file_name")
    if not isinstance(name, str) or not name:
        raise UserError(f"{where} has no 'file_name'")
    size = (_integer(item, "height", where), _integer(item, "width", where))
    if min(size) < 1:
        raise UserError(f"{where} has the impossible size {size[0]} x {size[1]}")
    crowd_index = item.get("crowdIndex")
    if crowd_index is not None and not _is_number(crowd_index):
        raise UserError(f"{where}: 'crowdIndex' must be a number, got {shown(crowd_index)}")
    return ImageRecord(
        _integer(item, "id", where), name, size, None if crowd_index is None else float(crowd_index)
    )


def _people(
    rows: Sequence[Record], images: Sequence[ImageRecord], *, joint_count: int, path: Path
) -> PersonTable:
    """The file's people with the file's joints."""
    position = {image.id: index for index, image in enumerate(images)}
    for row in rows:
        number = row.get("image_id")
        if type(number) is not int or number not in position:
            raise UserError(
                f"{path}: annotation {shown(row.get('id'))} belongs to image {shown(number)}, "
                "which is not listed"
            )
    rows = sorted(rows, key=lambda row: position[row["image_id"]])
    ids = [_integer(row, "id", f"{path}: annotation") for row in rows]
    _check_unique(ids, f"{path}: annotation")
    keypoints = _column(rows, "keypoints", 3 * joint_count, path, absent=[0.0] * (3 * joint_count))
    keypoints = keypoints.reshape(-1, joint_count, 3)
    wrong = ~np.isin(keypoints[..., 2], (0, 1, 2)).all(1)
    if wrong.any():
        raise UserError(f"{path}: annotation {ids[wrong.argmax()]}: a keypoint's v is none of 0, 1, 2")
    counted = (keypoints[..., 2] > 0).sum(1)
    stated = [
        _integer({"num_keypoints": int(count), **row}, "num_keypoints", f"{path}: annotation {row['id']}")
        for row, count in zip(rows, counted, strict=True)
    ]
    crowd = np.array([bool(row.get("iscrowd", 0)) for row in rows], np.bool_)
    return PersonTable(
        ids=np.array(ids, np.int64),
        image=np.array([position[row["image_id"]] for row in rows], np.int64),
        keypoints=keypoints,
        bbox=_column(rows, "bbox", 4, path),
        areas=_column(rows, "area", None, path),
        crowd=crowd,
        num_keypoints=np.array(stated, np.int64),
        segmentations=tuple(row.get("segmentation") for row in rows),
    )


def _map_joints(people: PersonTable, own: Skeleton, skeleton: Skeleton, path: Path) -> PersonTable:
    source = np.array(skeleton.joints_of(own))
    known = source >= 0
    if not known.any():
        raise UserError(
            f"{path}: its joints ({', '.join(own.keypoints)}) have none in common with skeleton "
            f"{skeleton.name} ({', '.join(skeleton.keypoints)})"
        )
    keypoints = np.zeros((len(people), len(skeleton), 3))
    keypoints[:, known] = people.keypoints[:, source[known]]
    counted = (keypoints[..., 2] > 0).sum(1)
    dropped = counted < (people.keypoints[..., 2] > 0).sum(1)
    num_keypoints = np.where(dropped, np.minimum(counted, people.num_keypoints), people.num_keypoints)
    needed = people.crowd | (counted == 0) | (num_keypoints == 0)
    return PersonTable(
        ids=people.ids,
        image=people.image,
        keypoints=keypoints,
        bbox=people.bbox,
        areas=people.areas,
        crowd=people.crowd,
        num_keypoints=num_keypoints,
        segmentations=tuple(
            shape if need else None for shape, need in zip(people.segmentations, needed, strict=True)
        ),
    )


def _check_labelled(people: PersonTable, skeleton: Skeleton, path: Path) -> None:
    flat = ~people.crowd & (people.num_keypoints > 0) & (people.bbox[:, 2:] <= 0).any(1)
    if flat.any():
        log.warning("%s: %d people have a box without extent and are left out", path, int(flat.sum()))
    if not people.labelled.any():
        raise UserError(
            f"{path}: the split is empty, nobody in it has a labelled keypoint of skeleton {skeleton.name}"
        )


def _records(items: Sequence[Any], path: Path, key: str) -> list[Record]:
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise UserError(f"{path}: {key}[{index}] is not an object")
    return list(items)


def _integer(item: Record, key: str, where: str) -> int:
    value = item.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise UserError(f"{where}: {key!r} must be an integer, got {shown(value)}")
    if not -(2**63) <= value < 2**63:
        raise UserError(f"{where}: {key!r} is an integer of more than 64 bits")
    return value


def _column(
    rows: Sequence[Record], key: str, length: int | None, path: Path, *, absent: list[float] | None = None
) -> NDArray[np.float64]:
    """One field of all annotations: [N, length], or [N] for a single number."""
    values = [row.get(key, absent) for row in rows]
    for row, value in zip(rows, values, strict=True):
        good = isinstance(value, int | float) if length is None else _is_list(value, length)
        if not good:
            raise UserError(f"{path}: annotation {shown(row.get('id'))}: {_complaint(key, value, length)}")
    try:
        column = np.array(values, np.float64).reshape(len(rows), *(() if length is None else (length,)))
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{path}: some annotation's {key!r} holds something that is no number") from None
    finite = np.isfinite(column).reshape(len(rows), length or 1).all(1)
    if not finite.all():
        raise UserError(
            f"{path}: annotation {shown(rows[int(finite.argmin())].get('id'))}: {key!r} is not finite"
        )
    return column


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < math.inf


def _is_list(value: Any, length: int) -> bool:
    return isinstance(value, list) and len(value) == length


def _complaint(key: str, value: Any, length: int | None) -> str:
    if value is None:
        hint = " (nas data convert --from crowdpose adds areas)" if key == "area" else ""
        return f"{key!r} is missing{hint}"
    if length is None:
        return f"{key!r} must be a number, got {shown(value)}"
    if not isinstance(value, list):
        return f"{key!r} must be a list of {length} numbers"
    hint = f" (3 for each of its category's {length // 3} joints)" if key == "keypoints" else ""
    return f"{key!r} has {len(value)} numbers where {length} are needed{hint}"


def _check_unique(ids: Sequence[int], what: str) -> None:
    seen: set[int] = set()
    for number in ids:
        if number in seen:
            raise UserError(f"{what} id {number} appears twice")
        seen.add(number)
