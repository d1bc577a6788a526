"""COCO keypoint files: their parts, and writing one that the loader accepts."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data.annotations import Annotations
from nas.data.coco import load_annotations
from nas.errors import UserError
from nas.files import replacing
from nas.space.skeleton import Skeleton

AREA_OF_BOX = 0.53
"""A person's area as a share of the box, where only that is known (CrowdPose's evaluation)."""

MARGIN = 0.1
"""By how much of a person's height a box around joints is wider than the joints on each side."""

Progress = Callable[[int, int], None]
"""Called with how many of how many pieces are done."""


@dataclass(frozen=True, eq=False)
class Converted:
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


def person_entry(
    id_: int, image: int, keypoints: NDArray[np.float64], *, bbox: Sequence[float], area: float | None = None
) -> dict[str, Any]:
    """One person.

    Args:
        id_: the annotation's id.
        image: the image's id.
        keypoints: [K, 3] x, y, v; x and y of unlabelled joints are written as 0.
        bbox: x, y, width, height.
        area: px^2; by default the share of the box that people fill.
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
        "area": round(width * height * AREA_OF_BOX if area is None else area, 3),
        "iscrowd": 0,
    }


def extent_box(
    keypoints: NDArray[np.float64], size: tuple[int, int], *, height: float | None = None
) -> list[float] | None:
    """A box around the labelled joints [K, 3] with a margin, cut at the image of size (h, w).

    Args:
        keypoints: x, y, v.
        size: the image's (h, w).
        height: the person's height in px; by default the larger side of the joints' extent.

    Returns:
        x, y, width, height; None where nothing is labelled or all of it lies outside the image.
    """
    points = keypoints[keypoints[:, 2] > 0, :2]
    if not len(points):
        return None
    low, high = points.min(0), points.max(0)
    margin = MARGIN * (float((high - low).max()) if height is None else height)
    # A box's coordinates begin at the first pixel's edge, the joints' at its centre.
    low = np.maximum(low - margin + 0.5, 0)
    high = np.minimum(high + margin + 0.5, (size[1], size[0]))
    if (high - low <= 0).any():
        return None
    return [*low.tolist(), *(high - low).tolist()]


def image_ids(names: Sequence[str]) -> list[int]:
    """An id for each file: the number in its name where all names are different numbers, else 1, 2, ..."""
    stems = [Path(name).stem for name in names]
    if all(stem.isascii() and stem.isdigit() and len(stem) < 16 for stem in stems):
        ids = [int(stem) for stem in stems]
        if len(set(ids)) == len(ids):
            return ids
    return list(range(1, len(names) + 1))


def map_joints(keypoints: NDArray[np.float64], source: Skeleton, wanted: Skeleton) -> NDArray[np.float64]:
    """Joints [K, 3] of one skeleton as those of another, by name; unlabelled where the source lacks one."""
    positions = np.array(wanted.joints_of(source))
    mapped = np.zeros((len(wanted), 3))
    mapped[positions >= 0] = keypoints[positions[positions >= 0]]
    return mapped


def check_shared(source: Skeleton, wanted: Skeleton, where: Path) -> None:
    """Raise UserError where two skeletons share no joint."""
    if max(wanted.joints_of(source)) < 0:
        raise UserError(f"{where}: its joints have none in common with skeleton {wanted.name}")


def left_out(reasons: Iterable[str]) -> tuple[str, ...]:
    """One line for each kind of reason, with how often it came."""
    return tuple(f"{reason} ({len(list(same)):,})" for reason, same in groupby(sorted(reasons)))


def write_coco(converted: Converted, output: Path) -> Annotations:
    """Write the file once the project's loader has accepted it.

    Raises:
        UserError: the loader refuses the result (it says why), or the file cannot be written.
    """
    with replacing(output) as draft:
        draft.write_text(json.dumps(converted.content), encoding="utf-8")
        try:
            annotations = load_annotations(draft, None, None)
        except UserError as error:
            reason = str(error).replace(str(draft), "what came out").removesuffix(f" of skeleton {draft}")
            raise UserError(f"{output}: nothing was written; {reason}") from None
    return annotations
