"""A tiny space, a tiny data set and a recipe that trains in a second; their fixtures."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from nas.runs.config import SupernetConfig
from nas.space import SearchSpace
from nas.train.update import Updater

RecipeMaker = Callable[..., SupernetConfig]

TIMINGS = frozenset({"images_per_second", "data_wait", "hours", "validation_share"})
"""Metrics that differ from run to run."""

STAGE = {
    "type": "mbconv",
    "activation": "relu",
    "stride": 2,
    "depth": [1, 2],
    "kernel": [3, 5],
    "expansion": 2,
}

SPACE: dict[str, Any] = {
    "name": "tiny",
    "task": "crop",
    "resolution": [[32, 32], [48, 32]],
    "stem": {"width": 8, "activation": "relu"},
    "stages": [
        {**STAGE, "width": [8, 16]},
        {**STAGE, "width": [8, 16]},
        {**STAGE, "width": [16], "depth": 1},
    ],
    "necks": {
        "none": {},
        "fusion_deconv": {"upsampler": ["nearest_dw", "deconv2x2"], "widths": [[8, 16], 8]},
    },
    "heads": {"simcc": {"neck": "none"}, "heatmap": {"neck": "fusion_deconv"}},
}

RECIPE: dict[str, Any] = {
    "name": "tiny",
    "skeleton": "coco17",
    "steps": 12,
    "batch": 4,
    "optimizer": {"lr": 1e-3},
    "schedule": {"warmup": 2},
    "ema": {"decay": 0.9},
    "sampling": {"pool": 60, "bins": 4},
    "distillation": {"weight": 0.5, "ramp": 4},
    "accelerator": "cpu",
    "threads": 1,
    "log_every": 3,
    "checkpoint": {"every": 3, "keep": 2},
    "calibration": {"images": 8, "batch": 4},
    "finetune": {"steps": 4, "batch": 4, "schedule": {"warmup": 1}},
}


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


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every step that is taken."""
    taken: list[int] = []
    original = Updater.step

    def stepping(self: Updater, plan: Any, parts: Any) -> dict[str, float]:
        taken.append(plan.step)
        return original(self, plan, parts)

    monkeypatch.setattr(Updater, "step", stepping)
    return taken
