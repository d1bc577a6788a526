"""The boxes of people in a COCO file, with or without keypoints."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nas.arrays import Floats
from nas.coco.categories import categories_of, category_ids, choose_records
from nas.coco.document import read_coco, records
from nas.coco.images import read_name
from nas.coco.person import Box, is_flat, read_bbox
from nas.coco.table import centred
from nas.coco.values import EntryError, flag, whole
from nas.documents import shown
from nas.errors import UserError

log = logging.getLogger(__name__)


def people_boxes(path: Path, *, category: str | None = None) -> Mapping[str, Floats]:
    """The boxes of the people in each image; crowds and other categories are left out.

    A box without extent is left out with a word.

    Args:
        path: a COCO file; its people need neither keypoints nor areas, and its categories may be missing.
        category: as in `choose_category`.

    Returns:
        [N, 4] x0, y0, x1, y1 (0 is the first pixel's centre) by the images' whole relative file names.

    Raises:
        UserError: the file is missing or no COCO JSON, it is not clear who is meant, or an entry cannot be
            read.
    """
    content = read_coco(path, lists=("images", "annotations"))
    meant = category_ids(choose_records(categories_of(content, path), path, category=category), path)
    names: dict[int, str] = {}
    for item in records(content["images"], path, "images"):
        try:
            id_, name = read_name(item)
        except EntryError as error:
            raise UserError(f"{path}: image {shown(item.get('id'))} {error}") from None
        if id_ in names:
            raise UserError(f"{path}: image id {id_} appears twice")
        names[id_] = name
    boxes: dict[str, list[Box]] = {name: [] for name in names.values()}
    flat = []
    for row in records(content["annotations"], path, "annotations"):
        if meant is not None and whole(row.get("category_id")) not in meant:
            continue
        where = f"{path}: annotation {shown(row.get('id'))}"
        crowd = flag(row.get("iscrowd"))
        if crowd is None:
            raise UserError(f"{where}: 'iscrowd' must be 0 or 1, got {shown(row['iscrowd'])}")
        if crowd:
            continue
        image = whole(row.get("image_id"))
        if image is None or image not in names:
            raise UserError(f"{where}: image {shown(row.get('image_id'))} is not listed")
        try:
            bbox = read_bbox(row.get("bbox"), None)
        except EntryError as error:
            raise UserError(f"{where}: {error}") from None
        if is_flat(bbox):
            flat.append(shown(row.get("id")))
        else:
            boxes[names[image]].append(bbox)
    if flat:
        log.warning(
            "%s: %d boxes without extent are left out (the first: annotation %s)", path, len(flat), flat[0]
        )
    return {name: centred(np.array(found, np.float64).reshape(-1, 4)) for name, found in boxes.items()}
