"""The people of a COCO keypoint file, their joints mapped by name onto a skeleton."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas.arrays import Floats
from nas.coco.categories import Category, choose_category, file_skeleton, map_joints
from nas.coco.document import check_unique, read_coco, records
from nas.coco.images import ImageRecord, lies_outside, read_images
from nas.coco.person import Box, Fault, Person, PersonReader, is_flat, person_area
from nas.coco.remarks import Remarks
from nas.coco.segmentation import Segmentation, read_segmentation
from nas.coco.table import PersonTable
from nas.coco.values import EntryError, Record, listed
from nas.documents import shown
from nas.errors import UserError
from nas.space.skeleton import Skeleton

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class PeopleFile:
    """What a file says about people.

    Args:
        path: the file.
        images: all of them.
        people: everyone of the category, crowd regions included.
        skeleton: what the keypoints are.
        category: which of the file's categories that is.
        remarks: what was read otherwise than it is written, one line each.
    """

    path: Path
    images: tuple[ImageRecord, ...]
    people: PersonTable
    skeleton: Skeleton
    category: Category
    remarks: tuple[str, ...]


def read_people(
    path: Path,
    skeleton: Skeleton | None,
    *,
    category: str | None = None,
    shown_as: Path | None = None,
) -> PeopleFile:
    """Read a file, and log what is remarkable about it. For other arguments and errors see `people_of`.

    Args:
        path: the file.
        skeleton: the wanted keypoints.
        category: which category is meant.
        shown_as: what messages call the file, where that is not its path.

    Raises:
        UserError: also where the file is missing or is no COCO JSON.
    """
    found = people_of(read_coco(path), shown_as or path, skeleton, category=category)
    for remark in found.remarks:
        log.warning("%s: %s", found.path, remark)
    return found


def people_of(
    content: Mapping[str, Any], path: Path, skeleton: Skeleton | None, *, category: str | None = None
) -> PeopleFile:
    """The people of a file's content.

    Joints that the file lacks become unlabelled (v = 0); joints that the skeleton lacks are dropped.

    Args:
        content: what `read_coco` gave.
        path: the file, for messages.
        skeleton: the wanted keypoints; None for the file's own, which have neither flip pairs nor sigmas. A
            file that does not name its joints has those of the skeleton, in its order.
        category: as in `choose_category`.

    Raises:
        UserError: the file contradicts itself, says of nobody who is meant, shares no joint with the
            skeleton, or holds no labelled person.
    """
    remarks = Remarks()
    chosen = choose_category(content["categories"], path, category=category, skeleton=skeleton)
    own = file_skeleton(str(path), chosen.joints)
    wanted = own if skeleton is None else skeleton
    if not chosen.named:
        remarks.add("unnamed_joints", f"{chosen.name}, of skeleton {wanted.name}")
    images = read_images(content["images"], path)
    for image in images:
        if lies_outside(image.file):
            remarks.add("outside_folder", image.file)
    entries = _entries(content["annotations"], images, chosen, path, remarks)
    people = _table(entries, own, wanted, path, remarks)
    if not people.labelled.any():
        raise UserError(f"{path}: the split is empty, {_why_empty(entries, chosen, wanted)}")
    return PeopleFile(path, images, people, wanted, chosen, remarks.lines())


@dataclass(frozen=True, eq=False, slots=True)
class _Entry:
    """One readable annotation: as it is written and as it was read, its image's position and (h, w)."""

    row: Record
    id: int
    image: int
    size: tuple[int, int]
    crowd: bool
    keypoints: Floats
    bbox: Box
    area: float | None
    stated: int


def _entries(
    annotations: Sequence[Any],
    images: Sequence[ImageRecord],
    category: Category,
    path: Path,
    remarks: Remarks,
) -> list[_Entry]:
    """The category's annotations in the order of their images. Raises UserError for an unreadable one."""
    every = records(annotations, path, "annotations")
    rows = [row for row in every if category.holds(row)]
    if every and not rows:
        raise UserError(
            f"{path}: none of its {len(every)} annotations belongs to the category {category.name}; "
            f"the first has the category_id {shown(every[0].get('category_id'))}"
        )
    reader = PersonReader(category.joints, {image.id: image.size for image in images})
    position = {image.id: index for index, image in enumerate(images)}
    found = []
    for row in rows:
        person, faults = reader.read(row)
        for fault in faults:
            if fault.fatal:
                raise UserError(f"{path}: annotation {shown(row.get('id'))}: {_reason(fault, category)}")
            remarks.add(fault.kind, f"annotation {person.id}: {fault.what}")
        found.append(_entry(row, person, position, images))
    check_unique([entry.id for entry in found], f"{path}: annotation")
    return sorted(found, key=lambda entry: entry.image)


def _entry(row: Record, person: Person, position: Mapping[int, int], images: Sequence[ImageRecord]) -> _Entry:
    # Where one of these is missing, there was a fatal fault.
    assert person.id is not None
    assert person.image is not None
    assert person.keypoints is not None
    assert person.bbox is not None
    image = position[person.image]
    return _Entry(
        row=row,
        id=person.id,
        image=image,
        size=images[image].size,
        crowd=person.crowd,
        keypoints=person.keypoints,
        bbox=person.bbox,
        area=person.area,
        stated=person.labelled if person.stated is None else max(person.stated, 0),
    )


def _reason(fault: Fault, category: Category) -> str:
    if fault.kind == "joint_count" and not category.named:
        return f"{fault.what}; no category names its 'keypoints', and the skeleton asked for is another one"
    return fault.what


def _table(
    entries: Sequence[_Entry], own: Skeleton, skeleton: Skeleton, path: Path, remarks: Remarks
) -> PersonTable:
    keypoints = _mapped(entries, own, skeleton, path)
    stated = np.array([entry.stated for entry in entries], np.int64)
    counts = np.minimum(stated, (keypoints[..., 2] > 0).sum(1))
    for row, entry in enumerate(entries):
        if is_flat(entry.bbox) and counts[row] and not entry.crowd:
            remarks.add("flat_box", f"annotation {entry.id}")
            counts[row] = 0
    segmentations: list[Segmentation | None] = []
    areas = np.zeros(len(entries))
    for row, entry in enumerate(entries):
        region = entry.crowd or not counts[row]
        shape = _segmentation(entry, path, remarks) if region or entry.area is None else None
        areas[row] = person_area(entry.bbox, shape) if entry.area is None else entry.area
        segmentations.append(shape if region else None)
    return PersonTable(
        ids=np.array([entry.id for entry in entries], np.int64),
        image=np.array([entry.image for entry in entries], np.int64),
        keypoints=keypoints,
        bbox=np.array([entry.bbox for entry in entries], np.float64).reshape(-1, 4),
        areas=areas,
        crowd=np.array([entry.crowd for entry in entries], np.bool_),
        num_keypoints=counts,
        segmentations=tuple(segmentations),
    )


def _mapped(entries: Sequence[_Entry], own: Skeleton, skeleton: Skeleton, path: Path) -> Floats:
    """The skeleton's keypoints [N, K, 3]."""
    if max(skeleton.joints_of(own)) < 0:
        raise UserError(
            f"{path}: its joints ({listed(own.keypoints)}) have none in common with skeleton "
            f"{skeleton.name} ({listed(skeleton.keypoints)})"
        )
    keypoints = np.array([entry.keypoints for entry in entries], np.float64).reshape(-1, len(own), 3)
    return map_joints(keypoints, own, skeleton)


def _segmentation(entry: _Entry, path: Path, remarks: Remarks) -> Segmentation | None:
    """None where there is none that can be read; then the box stands in. Raises UserError without a box."""
    try:
        return read_segmentation(entry.row.get("segmentation"), entry.size)
    except EntryError as error:
        if is_flat(entry.bbox):
            where = f"{path}: annotation {entry.id}"
            raise UserError(f"{where}: its segmentation {error}, and it has no box either") from None
        remarks.add("segmentation", f"annotation {entry.id}: it {error}")
        return None


def _why_empty(entries: Sequence[_Entry], category: Category, skeleton: Skeleton) -> str:
    people = [entry for entry in entries if not entry.crowd and entry.keypoints[:, 2].any()]
    if people and all(not entry.stated for entry in people):
        return "it has people with labelled keypoints, but their 'num_keypoints' is 0"
    if people and all(is_flat(entry.bbox) for entry in people):
        return "it has people with labelled keypoints, but all their boxes are without extent"
    hint = "" if category.named else "; no category names its 'keypoints'"
    return f"nobody in it has a labelled keypoint of skeleton {skeleton.name}{hint}"
