"""Small COCO sets written to disk."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from dotted_people import JOINTS, PAIRS, dots, person, scattered

from nas.data import Annotations, load_annotations
from nas.space.skeleton import Skeleton

WriteSet = Callable[..., Path]


@pytest.fixture(scope="session")
def skeleton() -> Skeleton:
    """Seven joints, three pairs."""
    return Skeleton(name="seven", keypoints=JOINTS, flip_pairs=PAIRS, sigmas=(0.05,) * len(JOINTS))


@pytest.fixture
def write_set(tmp_path: Path) -> WriteSet:
    """Writes `set.json` and `images/` under a folder of that name; images are [h, w, 3] RGB, ids 1, 2, ..."""

    def write(
        images: Sequence[np.ndarray],
        people: Sequence[Mapping[str, Any]],
        *,
        joints: Sequence[str] = JOINTS,
        name: str = "set",
        **changes: Any,
    ) -> Path:
        folder = tmp_path / name
        (folder / "images").mkdir(parents=True)
        for id_, image in enumerate(images, 1):
            cv2.imwrite(str(folder / "images" / f"{id_}.png"), image[..., ::-1])
        content = {
            "images": [
                {"id": id_, "file_name": f"{id_}.png", "height": image.shape[0], "width": image.shape[1]}
                for id_, image in enumerate(images, 1)
            ],
            "annotations": list(people),
            "categories": [{"id": 1, "name": "person", "keypoints": list(joints)}],
        } | changes
        (folder / "set.json").write_text(json.dumps(content))
        return folder

    return write


@pytest.fixture
def dotted(write_set: WriteSet, skeleton: Skeleton) -> Annotations:
    """Six grey 90 x 120 images with one person each; every joint is a blurred dot of a colour of its own."""
    rng = np.random.default_rng(0)
    images, people = [], []
    for id_ in range(1, 7):
        keypoints = np.concatenate([scattered(rng, len(JOINTS)), np.full((len(JOINTS), 1), 2.0)], axis=1)
        images.append(dots(keypoints, (90, 120)))
        people.append(person(10 * id_, id_, keypoints))
    folder = write_set(images, people)
    return load_annotations(folder / "set.json", folder / "images", skeleton)
