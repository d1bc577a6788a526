"""Checks of one annotation file: ids, joints, boxes, crowds."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from nas.data.check_layout import SplitFile
from nas.data.check_report import Example, Findings, Picture
from nas.data.coco import person_category
from nas.documents import shown
from nas.errors import UserError
from nas.space.skeleton import Skeleton

TOLERANCE = 1.0
"""Px by which boxes and joints may lie outside: labels are rounded in many ways."""


@dataclass(frozen=True, eq=False)
class Image:
    """A usable image entry: size is (h, w), `file` on disk where the folder is known."""

    id: int
    name: str
    size: tuple[int, int]
    file: Path | None


@dataclass(frozen=True, eq=False)
class CheckedFile:
    """What is left of a file: its usable images, and how many of its annotations are people."""

    split: SplitFile
    images: tuple[Image, ...]
    people: int


def check_annotations(split: SplitFile, skeleton: Skeleton | None, findings: Findings) -> CheckedFile:
    """Check the entries of one file.

    Args:
        split: the file.
        skeleton: the joints it should have; None where that is not asked.
        findings: what is found is added here.
    """
    images = _check_images(split, findings)
    try:
        category, joints = person_category(split.content["categories"], split.path)
    except UserError as error:
        findings.add("categories", Example(split.path, _reason(error, split)))
        return CheckedFile(split, tuple(images.values()), 0)
    if skeleton is not None:
        _check_skeleton(split, joints, skeleton, findings)
    rows = _Rows(split, images, joints, findings)
    people = 0
    for index, row in enumerate(split.content["annotations"]):
        if not isinstance(row, dict):
            findings.add("malformed", Example(split.path, f"annotations[{index}] is not an object"))
        elif row.get("category_id") != category:
            what = f"category {shown(row.get('category_id'))}"
            findings.add("other_category", Example(split.path, what, annotation=row.get("id")))
        else:
            people += 1
            rows.check(row)
    return CheckedFile(split, tuple(images.values()), people)


def _reason(error: UserError, split: SplitFile) -> str:
    return str(error).removeprefix(f"{split.path}: ")


def _check_images(split: SplitFile, findings: Findings) -> dict[int, Image]:
    """The usable images by id."""
    images: dict[int, Image] = {}
    names: dict[str, int] = {}
    for index, item in enumerate(split.content["images"]):
        fault = _image_fault(item)
        if fault is not None:
            where = item if isinstance(item, dict) else {}
            name = where.get("file_name") if isinstance(where.get("file_name"), str) else None
            example = Example(split.path, f"images[{index}] {fault}", image=where.get("id"), name=name)
            findings.add("malformed", example)
            continue
        id_, name = item["id"], item["file_name"]
        file = None if split.folder is None else split.folder / name
        pictures = () if file is None else (Picture(file),)
        if id_ in images:
            what = f"also the id of {images[id_].name}"
            example = Example(split.path, what, image=id_, name=name, pictures=pictures)
            findings.add("duplicate_image_id", example)
            continue
        if name in names:
            what = f"also listed as image {names[name]}"
            example = Example(split.path, what, image=id_, name=name, pictures=pictures)
            findings.add("duplicate_file", example)
        names.setdefault(name, id_)
        images[id_] = Image(id_, name, (item["height"], item["width"]), file)
    return images


def _image_fault(item: Any) -> str | None:
    if not isinstance(item, dict):
        return "is not an object"
    if not _is_integer(item.get("id")):
        return f"has no whole number as 'id', but {shown(item.get('id'))}"
    name = item.get("file_name")
    if not isinstance(name, str) or not name or "\0" in name or not _can_be_encoded(name):
        return "has no usable 'file_name'"
    for side in ("height", "width"):
        if not _is_integer(item.get(side)) or item[side] < 1:
            return f"has the impossible {side} {shown(item.get(side))}"
    return None


def _can_be_encoded(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can spell
        return False
    return True


def _check_skeleton(split: SplitFile, joints: Sequence[str], skeleton: Skeleton, findings: Findings) -> None:
    own = Skeleton(name=str(split.path), keypoints=tuple(joints), flip_pairs=(), sigmas=())
    missing = [name for name, at in zip(skeleton.keypoints, skeleton.joints_of(own), strict=True) if at < 0]
    further = [name for name, at in zip(joints, own.joints_of(skeleton), strict=True) if at < 0]
    if missing or further:
        what = (
            f"{len(joints)} joints where {skeleton.name} has {len(skeleton)}; "
            f"missing: {', '.join(missing) or 'none'}; further: {', '.join(further) or 'none'}"
        )
        findings.add("skeleton", Example(split.path, what))


class _Rows:
    """Checks the people of one file, one after another."""

    def __init__(
        self, split: SplitFile, images: Mapping[int, Image], joints: Sequence[str], findings: Findings
    ) -> None:
        self._split = split
        self._images = images
        self._joints = joints
        self._findings = findings
        self._ids: set[int] = set()
        self._people: dict[tuple[Any, ...], Any] = {}

    def check(self, row: Mapping[str, Any]) -> None:
        """Check one annotation of a person."""
        id_, crowd = row.get("id"), bool(row.get("iscrowd", 0))
        if not _is_integer(id_):
            self._add("malformed", row, f"the 'id' is no whole number, but {shown(id_)}")
        elif id_ in self._ids:
            self._add("duplicate_annotation_id", row, "")
        else:
            self._ids.add(id_)
        image = self._image(row)
        if image is None:
            self._add("unknown_image", row, f"image {shown(row.get('image_id'))} is not listed")
        keypoints = self._keypoints(row)
        box = _numbers(row.get("bbox"), 4)
        if box is None:
            self._add("malformed", row, "'bbox' is no list of 4 numbers")
        self._check_area(row)
        labelled = [joint for joint in keypoints or () if joint[2] > 0]
        if crowd:
            if not row.get("segmentation"):
                self._add("crowd_box", row, "")
        elif keypoints is not None and not labelled:
            self._add("unlabelled", row, "")
        if keypoints is not None:
            self._check_visibility(row, keypoints)
            self._check_count(row, len(labelled))
        if box is not None:
            self._check_box(row, box, labelled, image)
        if keypoints is not None and image is not None and labelled:
            self._check_joints(row, keypoints, image)

    def _image(self, row: Mapping[str, Any]) -> Image | None:
        id_ = row.get("image_id")
        return self._images.get(id_) if _is_integer(id_) else None

    def _add(self, kind: str, row: Mapping[str, Any], what: str, *, joints: tuple[int, ...] = ()) -> None:
        image = self._image(row)
        pictures: tuple[Picture, ...] = ()
        if image is not None and image.file is not None:
            pictures = (Picture(image.file, (row,), joints),)
        name = None if image is None else image.name
        example = Example(self._split.path, what, row.get("image_id"), row.get("id"), name, pictures)
        self._findings.add(kind, example)

    def _keypoints(self, row: Mapping[str, Any]) -> list[tuple[float, float, float]] | None:
        """x, y, v of each joint; all unlabelled where the row has none, None where they cannot be read."""
        values = row.get("keypoints", [0] * (3 * len(self._joints)))
        if isinstance(values, list) and len(values) != 3 * len(self._joints):
            what = f"{len(values)} numbers where 3 for each of {len(self._joints)} joints are needed"
            self._add("joint_count", row, what)
            return None
        numbers = _numbers(values, 3 * len(self._joints))
        if numbers is None:
            self._add("malformed", row, "'keypoints' is no list of numbers")
            return None
        return list(zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True))

    def _check_area(self, row: Mapping[str, Any]) -> None:
        if "area" not in row:
            self._add("no_area", row, "")
        elif _numbers([row["area"]], 1) is None:
            self._add("malformed", row, f"the 'area' is no number, but {shown(row['area'])}")

    def _check_visibility(
        self, row: Mapping[str, Any], keypoints: Sequence[tuple[float, float, float]]
    ) -> None:
        wrong = [index for index, (_, _, v) in enumerate(keypoints) if v not in (0, 1, 2)]
        if wrong:
            named = ", ".join(f"{self._joints[index]} {keypoints[index][2]:g}" for index in wrong)
            self._add("visibility", row, named, joints=tuple(wrong))

    def _check_count(self, row: Mapping[str, Any], labelled: int) -> None:
        stated = row.get("num_keypoints", labelled)
        if not _is_integer(stated):
            self._add("malformed", row, f"'num_keypoints' is no whole number, but {shown(stated)}")
        elif stated != labelled:
            self._add("stated_count", row, f"{stated} stated, {labelled} labelled")

    def _check_box(
        self,
        row: Mapping[str, Any],
        box: Sequence[float],
        labelled: Sequence[tuple[float, float, float]],
        image: Image | None,
    ) -> None:
        x, y, width, height = box
        if width <= 0 or height <= 0:
            self._add("flat_box", row, f"{width:g} x {height:g} px")
            return
        if labelled and not any(
            x - TOLERANCE <= px + 0.5 <= x + width + TOLERANCE
            and y - TOLERANCE <= py + 0.5 <= y + height + TOLERANCE
            for px, py, _ in labelled
        ):
            self._add("off_box", row, f"none of {len(labelled)} joints is inside the box")
        if image is None:
            return
        beyond = max(-x, -y, x + width - image.size[1], y + height - image.size[0])
        if x >= image.size[1] or y >= image.size[0] or x + width <= 0 or y + height <= 0:
            self._add("box_outside", row, f"x {x:g}, y {y:g}, {width:g} x {height:g} px")
        elif beyond > TOLERANCE:
            self._add("box_over_edge", row, f"by {beyond:.1f} px")

    def _check_joints(
        self, row: Mapping[str, Any], keypoints: Sequence[tuple[float, float, float]], image: Image
    ) -> None:
        low, (height, width) = -0.5 - TOLERANCE, image.size
        outside = tuple(
            index
            for index, (x, y, v) in enumerate(keypoints)
            if v > 0 and not (low <= x <= width - 1 - low and low <= y <= height - 1 - low)
        )
        if outside:
            x, y, _ = keypoints[outside[0]]
            more = f" and {len(outside) - 1} more" if len(outside) > 1 else ""
            what = f"{self._joints[outside[0]]} at ({x:g}, {y:g}){more}, image {width} x {height} px"
            self._add("joint_outside", row, what, joints=outside)
        key = (image.id, *keypoints)
        if key in self._people:
            self._add("duplicate_person", row, f"same joints as annotation {self._people[key]}")
        else:
            self._people[key] = row.get("id")


def _is_integer(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _numbers(values: Any, length: int) -> list[float] | None:
    """A list of so many finite numbers, or None."""
    if not isinstance(values, list) or len(values) != length:
        return None
    if not all(isinstance(value, int | float) for value in values):
        return None
    try:
        numbers = [float(value) for value in values]
    except OverflowError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None
