"""YOLO pose labels: one text file for each image, one line for each person, all of it relative to the image.

A line is `class cx cy w h` and then `x y` or `x y v` for each joint. `data.yaml` names the folders (`train`,
`val`, `test` below `path`), `kpt_shape`, `flip_idx` and the classes. Labels lie beside the images, or in
`labels/` where the images lie in `images/`. Format: https://docs.ultralytics.com/datasets/pose
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from nas.data.convert.coco_file import (
    Converted,
    Progress,
    check_shared,
    image_entry,
    image_ids,
    left_out,
    map_joints,
    person_category,
    person_entry,
)
from nas.data.convert.image_sizes import image_sizes
from nas.data.convert.yolo_joints import YoloJoints, yolo_joints
from nas.documents import shown
from nas.errors import UserError
from nas.pictures import PICTURE_SUFFIXES
from nas.space.skeleton import Skeleton


def convert_yolo(
    source: Path,
    *,
    skeleton: Skeleton | None = None,
    split: str = "train",
    category: str | None = None,
    progress: Progress | None = None,
) -> Converted:
    """One split of a YOLO pose set as a COCO file; an image without a label file is one without people.

    Args:
        source: `data.yaml`, its folder, or a folder of images and label files.
        skeleton: what the joints are; by default those of `kpt_names`, or COCO's where there are 17.
        split: which split of `data.yaml`.
        category: the class that is people; by default `person`, or the only one.
        progress: called while image sizes are read.

    Raises:
        UserError: folders or joints are not as stated, a label line cannot be read, mirrored joints of
            `flip_idx` contradict the skeleton.
    """
    facts, root = _facts(source)
    files = _images(facts, root, split, source)
    joints = yolo_joints(facts, skeleton, source)
    wanted = skeleton or joints.skeleton
    check_shared(joints.skeleton, wanted, source)
    people_class = _class(facts, category, source)
    names = [file.relative_to(root).as_posix() for file in files]
    ids = image_ids(names)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    reasons: list[str] = []
    for file, name, id_, size in zip(files, names, ids, image_sizes(files, progress), strict=True):
        if size is None:
            reasons.append("image not readable, left out")
            continue
        images.append(image_entry(id_, name, size))
        label = label_file(file)
        if not label.is_file():
            reasons.append("image without a label file, taken as one without people")
            continue
        for number, line in enumerate(_lines(label), 1):
            fields = line.split()
            if not fields:
                continue
            where = f"{label}: line {number}"
            numbers = _numbers(fields, where)
            if people_class is not None and numbers[0] != people_class:
                reasons.append("object of another class, left out")
                continue
            box, keypoints = _person(numbers, joints, size, where)
            mapped = map_joints(keypoints, joints.skeleton, wanted)
            annotations.append(person_entry(len(annotations) + 1, id_, mapped, bbox=box))
    content = {"images": images, "annotations": annotations, "categories": [person_category(wanted)]}
    return Converted(content, (*joints.remarks, *left_out(reasons)), root)


def label_file(image: Path) -> Path:
    """The label file of an image: beside it, or in `labels/` for one in `images/`."""
    beside = image.with_suffix(".txt")
    folders = list(image.parts)
    if "images" in folders[:-1] and not beside.is_file():
        last = len(folders) - 2 - folders[-2::-1].index("images")
        folders[last] = "labels"
        return Path(*folders).with_suffix(".txt")
    return beside


def _facts(source: Path) -> tuple[Mapping[str, Any], Path]:
    """What data.yaml says, and the folder that its paths start from."""
    file = source / "data.yaml" if source.is_dir() else source
    if source.is_dir() and not file.is_file():
        return {}, source
    try:
        facts = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{file}: cannot be read as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(facts, dict):
        raise UserError(f"{file}: expected fields such as 'train' and 'kpt_shape'")
    place = facts.get("path") or ""
    if not isinstance(place, str):
        raise UserError(f"{file}: 'path' must be a folder, got {shown(place)}")
    stated = file.parent / place
    # A path that was true on the machine that wrote it means nothing here.
    return facts, stated if stated.is_dir() else file.parent


def _images(facts: Mapping[str, Any], root: Path, split: str, source: Path) -> list[Path]:
    stated = facts.get(split) if facts else "."
    if not stated:
        known = [name for name in ("train", "val", "test") if facts.get(name)]
        raise UserError(f"{source}: it has no split {split!r}; it has {', '.join(known) or 'none'}")
    files: list[Path] = []
    for place in stated if isinstance(stated, list) else [stated]:
        if not isinstance(place, str):
            raise UserError(f"{source}: {split!r} must be a folder or a list of folders, got {shown(place)}")
        folder = root / place
        if folder.is_file() and folder.suffix == ".txt":
            listed = [line.strip() for line in _lines(folder) if line.strip()]
            # A leading ./ means "beside the list".
            files += [(folder.parent if line.startswith("./") else root) / line for line in listed]
        elif folder.is_dir():
            files += [file for file in folder.rglob("*") if file.suffix.lower() in PICTURE_SUFFIXES]
        else:
            raise UserError(f"{source}: split {split!r} lies in {folder}, which does not exist")
    if not files:
        raise UserError(f"{source}: split {split!r} holds no image")
    outside = next((file for file in files if not file.is_relative_to(root)), None)
    if outside is not None:
        raise UserError(f"{source}: {outside} lies outside {root}, where the file names start from")
    return sorted(set(files))


def _class(facts: Mapping[str, Any], category: str | None, source: Path) -> int | None:
    """The number of the class that is people; None where every object is one."""
    names = facts.get("names") or {}
    named = dict(enumerate(names)) if isinstance(names, list) else names
    if not isinstance(named, dict):
        raise UserError(f"{source}: 'names' is neither a list nor numbers with names")
    wanted = category or "person"
    found = [number for number, name in named.items() if name == wanted]
    if found:
        return int(found[0])
    if category is None and len(named) < 2:
        return None
    known = ", ".join(map(shown, named.values())).replace("'", "")
    raise UserError(f"{source}: no class is called {wanted!r}; name one with --category: {known}")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: this is not a text file") from None


def _numbers(fields: list[str], where: str) -> NDArray[np.float64]:
    try:
        numbers = np.array(fields, np.float64)
    except ValueError:
        raise UserError(f"{where} holds something that is no number") from None
    if not np.isfinite(numbers).all():
        raise UserError(f"{where} holds a number that is not finite")
    return numbers


def _person(
    numbers: NDArray[np.float64], joints: YoloJoints, size: tuple[int, int], where: str
) -> tuple[list[float], NDArray[np.float64]]:
    """The box x, y, width, height and the keypoints [K, 3], in pixels."""
    count = len(joints.skeleton)
    per_joint, rest = divmod(len(numbers) - 5, count)
    if rest or per_joint not in ((joints.values,) if joints.values else (2, 3)):
        per = joints.values or "2 or 3"
        raise UserError(
            f"{where} has {len(numbers)} numbers; 5 and then {per} for each of {count} joints are needed"
        )
    scale = np.array([size[1], size[0]], np.float64)
    extent = numbers[3:5] * scale
    corner = numbers[1:3] * scale - extent / 2
    placed = numbers[5:].reshape(count, per_joint)
    keypoints = np.zeros((count, 3))
    keypoints[:, :2] = placed[:, :2] * scale
    keypoints[:, 2] = placed[:, 2] if per_joint == 3 else 2 * placed.any(1)
    if not np.isin(keypoints[:, 2], (0, 1, 2)).all():
        raise UserError(f"{where}: a joint's visibility is none of 0, 1, 2")
    return [*corner.tolist(), *extent.tolist()], keypoints
