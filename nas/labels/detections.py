"""Detections: lists of boxes with scores, as COCO's evaluation has results."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from nas.arrays import Floats
from nas.coco.person import is_flat, read_bbox
from nas.coco.values import EntryError
from nas.documents import Fields, read_json
from nas.errors import UserError

_START = 64


def is_list(path: Path) -> bool:
    """Whether a JSON file holds a list. Raises UserError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(_START).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def detected_boxes(
    path: Path, images: Collection[int], *, category: frozenset[int] | None, least: float
) -> dict[int, Floats]:
    """The boxes [N, 4] (x, y, width, height) of a list of detections, by the ids of images.

    Args:
        path: the file.
        images: ids of the images that are meant; detections in others are passed over.
        category: ids of what is a person; None for everything.
        least: detections of a lower score are passed over.

    Raises:
        UserError: it is no such list.
    """
    listed = read_json(path)
    if not isinstance(listed, list) or not listed:
        raise UserError(f"{path}: holds no detection; expected a list of image_id, bbox and score")
    found: dict[int, list[tuple[float, float, float, float]]] = {}
    for number, entry in enumerate(listed):
        fields = Fields(entry, f"{path}: [{number}]")
        image, score = fields.integer("image_id"), fields.number("score")
        person = category is None or "category_id" not in fields.names or entry["category_id"] in category
        if score < least or not person or image not in images:
            continue
        try:
            bbox = read_bbox(fields.get("bbox"), None)
        except EntryError as error:
            raise UserError(f"{fields.place}: {error}") from None
        if not is_flat(bbox):
            found.setdefault(image, []).append(bbox)
    return {image: np.array(boxes, np.float64) for image, boxes in found.items()}
