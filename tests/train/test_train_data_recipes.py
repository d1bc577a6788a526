"""Training on mosaics, dropped information, rare poses and chosen areas goes on to the bit."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from test_train_resume import Killed, before_step, die, same_run
from tiny_training import RECIPE, SPACE

from nas.demo.people import generate
from nas.runs import SupernetConfig, read_metrics
from nas.train import train_supernet

IMAGE_SPACE: dict[str, Any] = {
    **SPACE,
    "task": "image",
    "resolution": [[64, 64], [96, 64]],
    "heads": {"associative_embedding": {"neck": "fusion_deconv"}},
    "necks": {"fusion_deconv": {"upsampler": ["nearest_dw"], "widths": [8, 8, 8]}},
}
EVERYTHING = {
    "preset": "rtmpose_strong",
    "patch_shape": "either",
    "information_dropping": 0.5,
    "mosaic": 0.7,
    "mosaic_sides": [2, 3],
    "area_histogram": {"edges": [0.01, 0.05, 0.3], "shares": [1, 2]},
}


def test_killed_and_resumed_equals_undisturbed(tmp_path: Path) -> None:
    generate(tmp_path / "people", images=10, seed=1, size=(96, 96), people_per_image=(1, 3))
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(IMAGE_SPACE))
    data = {
        "root": str(tmp_path / "people"),
        "train": {"annotations": "annotations/people.json", "images": "images"},
        "augment": EVERYTHING,
        "late_augment": {"after": 0.6, "augment": "rtmpose_weak"},
        "rare_poses": 0.7,
        "workers": 1,
        "cache_mib": 8,
    }
    config = SupernetConfig.read(
        {**RECIPE, "space": str(tmp_path / "space.yaml"), "data": data, "steps": 9}, "recipe"
    )
    straight = train_supernet(config, tmp_path / "straight")
    with before_step(5, die), pytest.raises(Killed):
        train_supernet(config, tmp_path / "killed")
    same_run(straight, train_supernet(config, tmp_path / "killed"))
    assert [line["step"] for line in read_metrics(straight.metrics_file)] == [3, 6, 9]
