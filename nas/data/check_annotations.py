"""Checks of one annotation file: ids, joints, boxes, segmentations, crowds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.coco import ImageRecord, choose_category, other_joints
from nas.coco.images import lies_outside, read_image
from nas.coco.person import Person, PersonReader, is_flat
from nas.coco.segmentation import read_segmentation
from nas.coco.values import EntryError, Record
from nas.data.check_layout import SplitFile
from nas.data.check_report import Example, ExamplePicture, FindingCollector
from nas.data.shards import ImageFile, image_finder
from nas.documents import shown
from nas.errors import UserError
from nas.space.skeleton import Skeleton

TOLERANCE = 1.0
"""Px by which boxes and joints may lie outside: labels are rounded in many ways."""


@dataclass(frozen=True, eq=False)
class Image:
    """A usable image entry: size is (h, w), `file` on disk or in a shard where the folder is known."""

    id: int
    name: str
    size: tuple[int, int]
    file: ImageFile | None


@dataclass(frozen=True, eq=False)
class CheckedFile:
    """What is left of a file: its usable images, and how many of its annotations are people."""

    split: SplitFile
    images: tuple[Image, ...]
    people: int


def check_annotations(split: SplitFile, skeleton: Skeleton | None, findings: FindingCollector) -> CheckedFile:
    """Check the entries of one file.

    Args:
        split: the file.
        skeleton: the joints it should have; None where that is not asked.
        findings: what is found is added here.
    """
    images = _check_images(split, findings)
    try:
        chosen = choose_category(
            split.content["categories"], split.path, category=split.category, skeleton=skeleton
        )
    except UserError as error:
        findings.add("categories", Example(split.path, _reason(error, split)))
        return CheckedFile(split, tuple(images.values()), 0)
    if skeleton is not None:
        _check_skeleton(split, chosen.joints, skeleton, findings)
    rows = _Rows(split, images, chosen.joints, findings)
    people = 0
    for index, row in enumerate(split.content["annotations"]):
        if not isinstance(row, dict):
            findings.add("malformed", Example(split.path, f"annotations[{index}] is not an object"))
        elif not chosen.holds(row):
            what = f"category {shown(row.get('category_id'))}"
            findings.add("other_category", Example(split.path, what, annotation=row.get("id")))
        else:
            people += 1
            rows.check(row)
    return CheckedFile(split, tuple(images.values()), people)


def _reason(error: UserError, split: SplitFile) -> str:
    return str(error).removeprefix(f"{split.path}: ")


def _check_images(split: SplitFile, findings: FindingCollector) -> dict[int, Image]:
    """The usable images by id."""
    images: dict[int, Image] = {}
    names: dict[str, int] = {}
    find = None if split.folder is None else image_finder(split.folder)
    for index, item in enumerate(split.content["images"]):
        try:
            record = _read_image(item)
        except EntryError as error:
            entry = item if isinstance(item, dict) else {}
            name = entry.get("file_name") if isinstance(entry.get("file_name"), str) else None
            example = Example(split.path, f"images[{index}] {error}", image=entry.get("id"), name=name)
            findings.add("malformed", example)
            continue
        id_, name = record.id, record.file
        file = None if find is None else find(name)
        pictures = () if file is None else (ExamplePicture(file),)
        if id_ in images:
            what = f"also the id of {images[id_].name}"
            example = Example(split.path, what, image=id_, name=name, pictures=pictures)
            findings.add("duplicate_image_id", example)
            continue
        if name in names:
            what = f"also listed as image {names[name]}"
            example = Example(split.path, what, image=id_, name=name, pictures=pictures)
            findings.add("duplicate_file", example)
        if lies_outside(name):
            findings.add("outside_folder", Example(split.path, "", image=id_, name=name))
        names.setdefault(name, id_)
        images[id_] = Image(id_, name, record.size, file)
    return images


def _read_image(item: Any) -> ImageRecord:
    if not isinstance(item, dict):
        raise EntryError("is not an object")
    return read_image(item)


def _check_skeleton(
    split: SplitFile, joints: Sequence[str], skeleton: Skeleton, findings: FindingCollector
) -> None:
    missing, further = other_joints(joints, skeleton)
    if missing or further:
        what = (
            f"{len(joints)} joints where {skeleton.name} has {len(skeleton)}; "
            f"missing: {', '.join(missing) or 'none'}; further: {', '.join(further) or 'none'}"
        )
        findings.add("skeleton", Example(split.path, what))


class _Rows:
    """Checks the people of one file, one after another."""

    def __init__(
        self, split: SplitFile, images: Mapping[int, Image], joints: Sequence[str], findings: FindingCollector
    ) -> None:
        self._split = split
        self._images = images
        self._joints = joints
        self._findings = findings
        self._reader = PersonReader(joints, {image.id: image.size for image in images.values()})
        self._ids: set[int] = set()
        self._people: dict[tuple[Any, ...], Any] = {}

    def check(self, row: Record) -> None:
        """Check one annotation of a person."""
        person, faults = self._reader.read(row)
        image = None if person.image is None else self._images[person.image]
        for fault in faults:
            self._add(fault.kind, row, image, fault.what, joints=fault.joints)
        if person.id is not None:
            if person.id in self._ids:
                self._add("duplicate_annotation_id", row, image, "")
            self._ids.add(person.id)
        if image is not None:
            self._check_segmentation(row, image)
        if person.crowd and not row.get("segmentation"):
            self._add("crowd_box", row, image, "")
        elif not person.crowd and person.keypoints is not None and not person.labelled:
            self._add("unlabelled", row, image, "")
        self._check_box(row, person, image)
        if image is not None and person.labelled:
            self._check_joints(row, person, image)

    def _add(
        self, kind: str, row: Record, image: Image | None, what: str, *, joints: tuple[int, ...] = ()
    ) -> None:
        id_ = row.get("image_id") if image is None else image.id
        name = None if image is None else image.name
        pictures = (
            () if image is None or image.file is None else (ExamplePicture(image.file, (row,), joints),)
        )
        example = Example(
            self._split.path, what, image=id_, annotation=row.get("id"), name=name, pictures=pictures
        )
        self._findings.add(kind, example)

    def _check_segmentation(self, row: Record, image: Image) -> None:
        try:
            read_segmentation(row.get("segmentation"), image.size)
        except EntryError as error:
            self._add("segmentation", row, image, f"it {error}")

    def _check_box(self, row: Record, person: Person, image: Image | None) -> None:
        if person.bbox is None:
            return
        x, y, width, height = person.bbox
        if is_flat(person.bbox):
            self._add("flat_box", row, image, f"{width:g} x {height:g} px")
            return
        if person.keypoints is not None and person.labelled:
            # The first pixel's centre is 0 for joints, and half a pixel for boxes.
            places = person.keypoints[person.keypoints[:, 2] > 0, :2] + 0.5
            low, high = np.array([x, y]) - TOLERANCE, np.array([x + width, y + height]) + TOLERANCE
            if not ((low <= places) & (places <= high)).all(1).any():
                self._add("off_box", row, image, f"none of {len(places)} joints is inside the box")
        if image is None:
            return
        beyond = max(-x, -y, x + width - image.size[1], y + height - image.size[0])
        if x >= image.size[1] or y >= image.size[0] or x + width <= 0 or y + height <= 0:
            self._add("box_outside", row, image, f"x {x:g}, y {y:g}, {width:g} x {height:g} px")
        elif beyond > TOLERANCE:
            self._add("box_over_edge", row, image, f"by {beyond:.1f} px")

    def _check_joints(self, row: Record, person: Person, image: Image) -> None:
        assert person.keypoints is not None
        low, (height, width) = -0.5 - TOLERANCE, image.size
        keypoints = [tuple(joint) for joint in person.keypoints.tolist()]
        outside = tuple(
            index
            for index, (x, y, v) in enumerate(keypoints)
            if v > 0 and not (low <= x <= width - 1 - low and low <= y <= height - 1 - low)
        )
        if outside:
            x, y, _ = keypoints[outside[0]]
            more = f" and {len(outside) - 1} more" if len(outside) > 1 else ""
            what = f"{self._joints[outside[0]]} at ({x:g}, {y:g}){more}, image {width} x {height} px"
            self._add("joint_outside", row, image, what, joints=outside)
        key = (image.id, *keypoints)
        if key in self._people:
            self._add("duplicate_person", row, image, f"same joints as annotation {self._people[key]}")
        else:
            self._people[key] = row.get("id")
