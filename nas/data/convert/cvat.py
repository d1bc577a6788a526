"""CVAT for images 1.1: XML with skeletons, or with sets of points in a stated order.

A skeleton's joint that is `outside` is unlabelled, one that is `occluded` is v = 1. A box with the same group
as a skeleton is that person's box. The images of a project have the attributes `subset` and `task_id`; where
such an export brings its images, they lie in a folder for each subset.
Format: https://docs.cvat.ai/docs/manual/advanced/xml_format
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from nas.arrays import Floats
from nas.coco.categories import file_skeleton, map_joints
from nas.coco.values import listed
from nas.data.convert.boxes import boxes_of_people, joints_box
from nas.data.convert.coco_file import (
    Conversion,
    check_files,
    image_entry,
    image_ids,
    left_out,
    person_category,
    person_entry,
    shared_joints,
)
from nas.data.convert.cvat_xml import box_of, flag, frame_size, group_of, parse, places, text
from nas.documents import shown
from nas.errors import UserError
from nas.files import is_file, is_folder
from nas.space.skeleton import Skeleton

PEOPLE = ("skeleton", "points")
"""Shapes that can be a person."""


def convert_cvat(
    source: Path, *, skeleton: Skeleton | None = None, category: str | None = None
) -> Conversion:
    """A CVAT export as a COCO file.

    Args:
        source: `annotations.xml`.
        skeleton: the wanted joints, matched by name; for sets of points their names in order. By default the
            export's own.
        category: the label that is people; by default `person`, or the only one with joints.

    Raises:
        UserError: not such an export, it declares a document type, its joints contradict each other, or two
            images have the same file.
    """
    root = parse(source)
    frames = root.findall("image")
    if not frames:
        if root.findall("track"):
            raise UserError(f"{source}: it holds tracks of a video; export it as 'CVAT for images 1.1'")
        raise UserError(f"{source}: it holds no images")
    label = _person_label(root, category, source)
    own = _joints(root, label, skeleton, source)
    wanted = skeleton or own
    remarks = shared_joints(own, wanted, source)
    reasons: list[str] = []
    names = _files(frames, source, reasons)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for frame, name, id_ in zip(frames, names, image_ids(names), strict=True):
        size = frame_size(frame, source)
        images.append(image_entry(id_, name, size))
        people = [shape for shape in frame if shape.tag in PEOPLE and shape.get("label") == label]
        joints = [_keypoints(shape, own, f"{source}: image {shown(name)}", reasons) for shape in people]
        boxes = _boxes(frame, people, joints, label, source, reasons)
        for number, keypoints in enumerate(joints):
            box = boxes.get(number) or joints_box(keypoints, size, reasons)
            if box is not None:
                mapped = map_joints(keypoints, own, wanted)
                annotations.append(person_entry(len(annotations) + 1, id_, mapped, bbox=box))
    content = {"images": images, "annotations": annotations, "categories": [person_category(wanted)]}
    folder = source.parent / "images"
    return Conversion(content, (*remarks, *left_out(reasons)), folder if is_folder(folder) else None)


def _files(frames: Sequence[Element], source: Path, reasons: list[str]) -> list[str]:
    """The images' files; of a project below their subsets, where they lie there or would be confused."""
    names = [text(frame, "name", source) for frame in frames]
    subsets = [frame.get("subset") for frame in frames]
    in_subsets = [f"{subset}/{name}" if subset else name for subset, name in zip(subsets, names, strict=True)]
    folder = source.parent / "images"
    brought = (name for name, plain in zip(in_subsets, names, strict=True) if name != plain)
    if len(set(names)) < len(names) or (
        is_folder(folder) and any(is_file(folder / name) for name in brought)
    ):
        reasons += ["image whose file name begins with its subset"] * sum(map(bool, subsets))
        names = in_subsets
    tasks = [f" of task {task}" if (task := frame.get("task_id")) else "" for frame in frames]
    called = (f"image {frame.get('id')}{task}" for frame, task in zip(frames, tasks, strict=True))
    check_files(zip(names, called, strict=True), source)
    return names


def _labels(root: Element) -> Iterator[tuple[str, str | None, str | None]]:
    """Name, type and parent of each label that the export declares."""
    meta = root.find("meta")
    for label in () if meta is None else meta.iter("label"):
        yield label.findtext("name", ""), label.findtext("type"), label.findtext("parent")


def _person_label(root: Element, category: str | None, source: Path) -> str:
    """The label that is people: of those with joints the named one, `person`, or the only one."""
    shapes = (shape for frame in root.findall("image") for shape in frame)
    found = {shape.get("label", "") for shape in shapes if shape.tag in PEOPLE}
    found |= {name for name, kind, _ in _labels(root) if kind == "skeleton"}
    wanted = category or "person"
    if wanted in found:
        return wanted
    if category is None and len(found) == 1:
        return next(iter(found))
    if not found:
        raise UserError(f"{source}: it holds neither skeletons nor points")
    raise UserError(
        f"{source}: no label with joints is called {shown(wanted)}; name one as `category`: "
        f"{listed(sorted(found))}"
    )


def _joints(root: Element, label: str, skeleton: Skeleton | None, source: Path) -> Skeleton:
    """The joints as the export declares them, else in the order in which they come; of points, the given."""
    names = [name for name, _, parent in _labels(root) if parent == label]
    used = [
        text(point, "label", source)
        for frame in root.findall("image")
        for shape in frame.findall("skeleton")
        if shape.get("label") == label
        for point in shape.findall("points")
    ]
    names = list(dict.fromkeys([*names, *used]))
    if names:
        return file_skeleton(str(source), names)
    if skeleton is None:
        raise UserError(f"{source}: its points have no names; say what they are, in order, by `skeleton`")
    return skeleton


def _keypoints(shape: Element, own: Skeleton, where: str, reasons: list[str]) -> Floats:
    keypoints = np.zeros((len(own), 3))
    if shape.tag == "points":
        found = places(shape, where)
        if len(found) != len(own):
            raise UserError(
                f"{where}: {len(found)} points where the skeleton {own.name} has {len(own)} joints"
            )
        keypoints[:, :2] = found
        keypoints[:, 2] = _visibility(shape, where)
        return keypoints
    seen: set[str] = set()
    for part in shape:
        if part.tag != "points":
            if part.tag != "attribute":
                reasons.append(f"{part.tag} inside a skeleton, left out")
            continue
        name = part.get("label", "")
        if name in seen:
            raise UserError(f"{where}: a skeleton has the joint {shown(name)} twice")
        seen.add(name)
        if flag(part, "outside", where):
            continue
        found = places(part, where)
        if len(found) != 1:
            raise UserError(f"{where}: joint {shown(name)} has {len(found)} places")
        keypoints[own.index(name)] = (*found[0], _visibility(part, where))
    return keypoints


def _visibility(shape: Element, where: str) -> int:
    return 1 if flag(shape, "occluded", where) else 2


def _boxes(
    frame: Element,
    people: Sequence[Element],
    joints: Sequence[Floats],
    label: str,
    source: Path,
    reasons: list[str],
) -> Mapping[int, list[float]]:
    """The boxes x, y, width, height of people, by their numbers; what becomes of all other shapes is said."""
    groups: dict[str, list[Element]] = {group: [] for person in people if (group := group_of(person))}
    for shape in frame:
        group = group_of(shape)
        if shape.tag == "box" and group is not None and group in groups:
            groups[group].append(shape)
        elif shape.tag in PEOPLE and shape.get("label") == label:
            continue
        elif shape.get("label") == label:
            reasons.append(f"{shape.tag} that belongs to no skeleton, left out")
        else:
            reasons.append("shape of another label, left out")
    found: dict[int, list[float]] = {}
    for group, shapes in groups.items():
        members = [number for number, person in enumerate(people) if group_of(person) == group]
        # A person's box may have a label of its own; where some have the person's, other boxes are things.
        same = [shape for shape in shapes if shape.get("label") == label] or shapes
        reasons += ["shape of another label, left out"] * (len(shapes) - len(same))
        boxes = [box for shape in same if (box := box_of(shape, source)) is not None]
        reasons += ["box without extent, left out"] * (len(same) - len(boxes))
        chosen = boxes_of_people([joints[number] for number in members], boxes)
        mine = {member: boxes[n] for member, n in zip(members, chosen, strict=True) if n is not None}
        reasons += ["box of a group that is not clearly one person's, left out"] * (len(boxes) - len(mine))
        found |= mine
    return found
