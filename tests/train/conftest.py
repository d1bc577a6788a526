"""A tiny space and a tiny data set."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from tiny_training import RECIPE, SPACE, RecipeMaker

from nas.space import SearchSpace
from nas.train.config import SupernetConfig


@pytest.fixture(scope="session")
def tiny_space() -> SearchSpace:
    return SearchSpace.from_json({"version": 1, **SPACE})


@pytest.fixture(scope="session")
def tiny_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `people.json`, `images/` and `space.yaml`."""
    root = tmp_path_factory.mktemp("tiny")
    rng = np.random.default_rng(0)
    (root / "images").mkdir()
    images, people = [], []
    for number in range(1, 41):
        cv2.imwrite(
            str(root / "images" / f"{number}.png"), rng.integers(255, size=(40, 40, 3), dtype=np.uint8)
        )
        keypoints = np.column_stack([rng.uniform(8, 32, (17, 2)), np.full(17, 2)])
        images.append({"id": number, "file_name": f"{number}.png", "height": 40, "width": 40})
        people.append(
            {
                "id": number,
                "image_id": number,
                "category_id": 1,
                "keypoints": keypoints.flatten().tolist(),
                "num_keypoints": 17,
                "bbox": [6, 6, 28, 28],
                "area": 500.0,
                "iscrowd": 0,
            }
        )
    names = [
        "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
        "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee",
        "right_knee", "left_ankle", "right_ankle",
    ]  # fmt: skip
    category = {"id": 1, "name": "person", "keypoints": names, "skeleton": []}
    content = {"images": images, "annotations": people, "categories": [category]}
    (root / "people.json").write_text(json.dumps(content))
    (root / "space.yaml").write_text(yaml.safe_dump(SPACE))
    return root


@pytest.fixture
def make_config(tiny_files: Path) -> RecipeMaker:
    """A tiny recipe with fields changed."""

    def make(**changes: Any) -> SupernetConfig:
        source = {"annotations": "people.json", "images": "images"}
        data = {"root": str(tiny_files), "train": source, "augment": "weak", "workers": 0, "cache_mib": 0}
        values = {**RECIPE, "space": str(tiny_files / "space.yaml"), "data": data, **changes}
        return SupernetConfig.read(values, "recipe")

    return make
