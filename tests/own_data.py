"""A user's COCO file and its pictures, of joints that nobody else has."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

NINE = ("Neck", "L_Shoulder", "R_Shoulder", "L_Hip", "R_Hip", "L_Knee", "R_Knee", "L_Ankle", "R_Ankle")
LIMBS = ((1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7), (6, 8), (7, 9))

OwnData = Callable[..., Path]


@pytest.fixture
def own_data(tmp_path: Path) -> OwnData:
    """Writes `data/people.json` and `data/images/`: one person on each picture, joints are bright dots."""

    def write(
        *,
        count: int = 12,
        joints: Sequence[str] = NINE,
        limbs: Any = LIMBS,
        folder: Path = tmp_path / "data",
        **category: Any,
    ) -> Path:
        rng = np.random.default_rng(count)
        (folder / "images").mkdir(parents=True)
        images, people = [], []
        for number in range(1, count + 1):
            places = rng.uniform((12, 8), (36, 56), (len(joints), 2)).round(1)
            picture = rng.integers(60, size=(64, 48, 3), dtype=np.uint8)
            for joint, place in enumerate(places):
                x, y = place.round().astype(int)
                picture[y - 1 : y + 2, x - 1 : x + 2] = (255, 20 * joint, 255 - 20 * joint)
            cv2.imwrite(str(folder / "images" / f"{number:03d}.png"), picture)
            images.append({"id": number, "file_name": f"{number:03d}.png", "width": 48, "height": 64})
            people.append(
                {
                    "id": number,
                    "image_id": number,
                    "category_id": 1,
                    "bbox": [6, 2, 36, 60],
                    "area": 1100,
                    "iscrowd": 0,
                    "num_keypoints": len(joints),
                    "keypoints": [value for x, y in places.tolist() for value in (x, y, 2)],
                }
            )
        kind = {"id": 1, "name": "jumper", "keypoints": list(joints), "skeleton": limbs, **category}
        file = folder / "people.json"
        file.write_text(json.dumps({"images": images, "annotations": people, "categories": [kind]}))
        return file

    return write
