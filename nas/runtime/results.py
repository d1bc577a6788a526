"""From poses to COCO keypoint results, and the file that the COCO server takes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas.codecs.affine import Affine, apply_affine
from nas.codecs.types import Poses
from nas.errors import UserError
from nas.files import write_json

Detection = dict[str, Any]
"""A COCO keypoint result: image_id, category_id, keypoints [3 K], score."""


def coco_results(poses: Poses, inverse: Affine, *, image_id: int, category_id: int = 1) -> list[Detection]:
    """The poses of one network input as COCO results in image px, in plain Python numbers.

    Args:
        poses: in input px.
        inverse: [2, 3], input px to image px.
        image_id, category_id: as in the annotation file.
    """
    keypoints = apply_affine(poses.keypoints, inverse)
    return [
        {
            "image_id": int(image_id),
            "category_id": int(category_id),
            "keypoints": points.ravel().tolist(),
            "score": float(score),
        }
        for points, score in zip(keypoints, poses.scores, strict=True)
    ]


def write_results(path: Path, detections: Sequence[Detection]) -> None:
    """Write the results file that the COCO evaluation server takes; coordinates to 0.01 px."""
    rounded = [
        {**detection, "keypoints": [round(number, 2) for number in detection["keypoints"]]}
        for detection in detections
    ]
    write_json(path, rounded, indent=None)


def read_results(path: Path) -> list[Detection]:
    """The detections of a results file. Raises UserError where it is not one."""
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a COCO results file: {error}") from None
    needed = {"image_id", "category_id", "keypoints", "score"}
    if not isinstance(content, list) or any(
        not isinstance(row, dict) or needed - set(row) for row in content
    ):
        raise UserError(f"{path}: not a COCO results file; it must be a list of {', '.join(sorted(needed))}")
    return content
