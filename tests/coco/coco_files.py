"""Small COCO files: two images of 40 x 60 px (h, w), three joints."""

import json
from pathlib import Path
from typing import Any

from nas.space.skeleton import Skeleton

JOINTS = ("nose", "left_hand", "right_hand")
THREE = Skeleton(name="three", keypoints=JOINTS, flip_pairs=(JOINTS[1:],), sigmas=(0.05,) * 3)
PLACES = [10.0, 10.0, 2, 20.0, 12.5, 2, 30.0, 20.0, 1]
NOWHERE = [0] * 9


def row(id_: int = 1, image: int = 1, **changes: Any) -> dict[str, Any]:
    """An annotation of a person, all joints labelled; a field given as ... is left out."""
    fields = {
        "id": id_,
        "image_id": image,
        "category_id": 1,
        "keypoints": PLACES,
        "num_keypoints": 3,
        "bbox": [5.0, 5.0, 30.0, 20.0],
        "area": 300.0,
        "iscrowd": 0,
    } | changes
    return {name: value for name, value in fields.items() if value is not ...}


def content(*rows: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A file of these annotations, of one if none is given."""
    return {
        "images": [{"id": n, "file_name": f"{n}.jpg", "height": 40, "width": 60} for n in (1, 2)],
        "annotations": list(rows) or [row()],
        "categories": [{"id": 1, "name": "person", "keypoints": list(JOINTS)}],
    } | changes


def written(folder: Path, document: Any) -> Path:
    """The document as a file."""
    path = folder / "set.json"
    path.write_text(json.dumps(document))
    return path
