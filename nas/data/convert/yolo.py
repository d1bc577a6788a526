"""YOLO pose labels: one text file for each image, one line for each person, all of it relative to the image.

A line is `class cx cy w h` and then `x y` or `x y v` for each joint. `data.yaml` names the folders (`train`,
`val`, `test` below `path`), `kpt_shape`, `flip_idx` and the classes. Labels lie beside the images, or in
`labels/` where the images lie in `images/`. Format: https://docs.ultralytics.com/datasets/pose
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas.coco.categories import map_joints
from nas.coco.values import listed
from nas.data.convert.boxes import joints_box
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
from nas.data.convert.yolo_files import labels_of, read_facts, read_text, split_files
from nas.data.convert.yolo_joints import yolo_joints
from nas.data.convert.yolo_lines import YoloPerson, read_class, read_numbers, read_person
from nas.data.threads import Progress
from nas.documents import shown
from nas.errors import UserError
from nas.files import is_file
from nas.space.skeleton import Skeleton


def convert_yolo(
    source: Path,
    *,
    skeleton: Skeleton | None = None,
    split: str | None = None,
    category: str | None = None,
    progress: Progress | None = None,
) -> Conversion:
    """One split of a YOLO pose set as a COCO file; an image without a label file is one without people.

    Args:
        source: `data.yaml`, its folder, or a folder of images and label files.
        skeleton: what the joints are; by default those of `kpt_names`, or COCO's where there are 17.
        split: which split of `data.yaml`, by default `train`; none of a folder without it.
        category: the class that is people; by default `person`, or the only one.
        progress: called while image sizes are read.

    Raises:
        UserError: folders or joints are not as stated, a label line cannot be read, two images share one,
            mirrored joints of `flip_idx` contradict the skeleton.
    """
    facts = read_facts(source)
    files = split_files(facts, split, source)
    names = _class_names(facts, source)
    people_classes = _people_classes(names, category, source)
    joints = yolo_joints(facts, skeleton, source, classes=people_classes)
    wanted = skeleton or joints.skeleton
    remarks = (*joints.remarks, *shared_joints(joints.skeleton, wanted, source))
    reasons = list(files.reasons)
    labels = labels_of(files.images, reasons)
    file_names = [file.relative_to(files.root).as_posix() for file in files.images]
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for name, label, id_, size in zip(
        file_names, labels, image_ids(file_names), image_sizes(files.images, progress), strict=True
    ):
        lines = [] if not is_file(label) else _lines(label)
        if isinstance(size, str):
            reasons += [f"image not readable ({size}), left out"]
            reasons += ["label line of an image that is not readable, left out"] * len(lines)
            continue
        images.append(image_entry(id_, name, size))
        if not is_file(label):
            reasons.append("image without a label file, taken as one without people")
        for where, line in lines:
            numbers = read_numbers(line, where)
            class_ = read_class(numbers, names, where)
            if people_classes and class_ not in people_classes:
                reasons.append("object of another class, left out")
                continue
            person = read_person(numbers, joints, size, where)
            box = _box(person, size, reasons)
            if box is not None:
                mapped = map_joints(person.keypoints, joints.skeleton, wanted)
                annotations.append(person_entry(len(annotations) + 1, id_, mapped, bbox=box))
    content = {"images": images, "annotations": annotations, "categories": [person_category(wanted)]}
    return Conversion(content, (*remarks, *left_out(reasons)), files.root)


def _box(person: YoloPerson, size: tuple[int, int], reasons: list[str]) -> list[float] | None:
    if not person.has_joints:
        reasons.append("person with a box only, taken as one without labelled joints")
    if person.box is not None:
        return person.box
    reasons.append("box without extent, taken around the joints")
    return joints_box(person.keypoints, size, reasons)


def _lines(label: Path) -> list[tuple[str, str]]:
    """The lines of a label file that are not blank, and what to call them."""
    numbered = enumerate(read_text(label).splitlines(), 1)
    return [(f"{label}: line {number}", line) for number, line in numbered if line.strip()]


def _class_names(facts: Mapping[Any, Any], source: Path) -> dict[int, Any]:
    """The classes by their numbers; none where the set does not say."""
    names = facts.get("names")
    if not names and type(facts.get("nc")) is int:
        names = [f"class_{number}" for number in range(min(facts["nc"], 1000))]
    named = dict(enumerate(names)) if isinstance(names, list) else names or {}
    if not isinstance(named, dict):
        raise UserError(f"{source}: 'names' is neither a list nor numbers with names")
    numbers = {key: int(key) if str(key).isascii() and str(key).isdigit() else -1 for key in named}
    if min(numbers.values(), default=0) < 0 or len(set(numbers.values())) < len(numbers):
        raise UserError(f"{source}: 'names' is neither a list nor different numbers with names")
    return {numbers[key]: name for key, name in named.items()}


def _people_classes(names: Mapping[int, Any], category: str | None, source: Path) -> set[int]:
    """The numbers of the classes that are people; none where every object is one."""
    wanted = category or "person"
    found = {number for number, name in names.items() if name == wanted}
    if found or (category is None and len(names) < 2):
        return found
    raise UserError(
        f"{source}: no class is called {shown(wanted)}; name one as `category`: {listed(names.values())}"
    )
