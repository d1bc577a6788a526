"""COCO keypoint files: their parts, and writing one that the loader accepts."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from posixpath import normpath
from typing import Any

import numpy as np

from nas.arrays import Floats
from nas.coco import AREA_OF_BOX, read_people
from nas.coco.values import listed
from nas.data.annotations import Annotations
from nas.data.coco import annotations_of
from nas.documents import shown
from nas.errors import UserError
from nas.files import replacing
from nas.space.skeleton import Skeleton


@dataclass(frozen=True, eq=False)
class Conversion:
    """What became of a source.

    Args:
        content: the COCO keypoint file.
        remarks: what was left out or assumed, one line each.
        images: the folder that the file names start from, where the source says so.
    """

    content: dict[str, Any]
    remarks: tuple[str, ...] = ()
    images: Path | None = None


def person_category(skeleton: Skeleton) -> dict[str, Any]:
    """The category `person` with a skeleton's joints; limbs count from 1, as COCO's do."""
    return {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(skeleton.keypoints),
        "skeleton": [[start + 1, end + 1] for start, end in skeleton.limb_index],
    }


def image_entry(id_: int, name: str, size: tuple[int, int]) -> dict[str, Any]:
    """An image of size (h, w)."""
    return {"id": id_, "file_name": name, "height": size[0], "width": size[1]}


def person_entry(id_: int, image: int, keypoints: Floats, *, bbox: Sequence[float]) -> dict[str, Any]:
    """One person, whose area is the share of the box that people fill.

    Args:
        id_: the annotation's id.
        image: the image's id.
        keypoints: [K, 3] x, y, v; x and y of unlabelled joints are written as 0.
        bbox: x, y, width, height.
    """
    labelled = keypoints[:, 2] > 0
    known = np.where(labelled[:, None], keypoints, 0.0).tolist()
    flat = [value for x, y, v in known for value in (round(x, 3), round(y, 3), int(v))]
    width, height = float(bbox[2]), float(bbox[3])
    return {
        "id": id_,
        "image_id": image,
        "category_id": 1,
        "keypoints": flat,
        "num_keypoints": int(labelled.sum()),
        "bbox": [round(float(value), 3) for value in bbox],
        "area": round(width * height * AREA_OF_BOX, 3),
        "iscrowd": 0,
    }


def image_ids(names: Sequence[str]) -> list[int]:
    """An id for each file: the number in its name where all names are different numbers, else 1, 2, ..."""
    stems = [Path(name).stem for name in names]
    if all(stem.isascii() and stem.isdigit() and len(stem) < 16 for stem in stems):
        ids = [int(stem) for stem in stems]
        if len(set(ids)) == len(ids):
            return ids
    return list(range(1, len(names) + 1))


def check_files(files: Iterable[tuple[str, str]], source: Path) -> None:
    """Raise UserError where two images have the same file, which would get the people of both.

    Args:
        files: name of the file, and what to call the image.
        source: for the message.
    """
    seen: dict[str, str] = {}
    for name, image in files:
        file = normpath(name.replace("\\", "/"))
        if file in seen:
            raise UserError(
                f"{source}: {seen[file]} and {image} have the same file name {shown(name)}, so that one file "
                "would get the people of both; rename one of them, or convert them one by one"
            )
        seen[file] = image


def shared_joints(source: Skeleton, wanted: Skeleton, where: Path) -> tuple[str, ...]:
    """What mapping onto the wanted joints leaves out or lacks, one line each.

    Raises:
        UserError: the skeletons share no joint.
    """
    positions = wanted.joints_of(source)
    if max(positions) < 0:
        raise UserError(f"{where}: its joints have none in common with skeleton {wanted.name}")
    dropped = [name for position, name in enumerate(source.keypoints) if position not in positions]
    missing = [name for position, name in zip(positions, wanted.keypoints, strict=True) if position < 0]
    named = {
        f"joints that skeleton {wanted.name} lacks, left out": dropped,
        f"joints of skeleton {wanted.name} that the source lacks, unlabelled": missing,
    }
    return tuple(f"{what}: {listed(names)}" for what, names in named.items() if names)


def left_out(reasons: Iterable[str]) -> tuple[str, ...]:
    """One line for each kind of reason, with how often it came."""
    return tuple(f"{reason} ({count:,})" for reason, count in sorted(Counter(reasons).items()))


def write_coco(converted: Conversion, output: Path, *, category: str | None = None) -> Annotations:
    """Write the file once the project's loader has accepted it, of that category where it has several.

    Raises:
        UserError: the loader refuses the result (it says why), or the file cannot be written.
    """
    with replacing(output) as draft:
        draft.write_text(json.dumps(converted.content), encoding="utf-8")
        try:
            read = read_people(draft, None, category=category, shown_as=output)
        except UserError as error:
            reason = str(error).removeprefix(f"{output}: ").removesuffix(f" of skeleton {output}")
            said = "; ".join((reason, *converted.remarks))
            raise UserError(f"{output}: nothing was written; {said}") from None
    return annotations_of(read, None)
