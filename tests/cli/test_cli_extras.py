"""What works on the base install, and with `[evaluate]`: neither has torch."""

import json
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest
from dot_model import DOTS, dotted_image, write_dot_model
from no_torch import run_without

from nas.cli.extras import EVALUATE_PACKAGES, TRAIN_PACKAGES, how_to_install


@pytest.fixture
def annotated(tmp_path: Path) -> Path:
    """Two pictures of one person each, whose joints are dots, and a COCO file of them."""
    folder = tmp_path / "people"
    folder.mkdir()
    rows, images = [], []
    for number in (1, 2):
        dots = np.array([[30, 30], [60, 70], [45, 100]]) + 5 * number
        cv2.imwrite(str(folder / f"{number}.png"), dotted_image((160, 120), dots)[..., ::-1])
        images.append({"id": number, "file_name": f"{number}.png", "height": 160, "width": 120})
        keypoints = np.column_stack([dots, np.full(3, 2)]).ravel().tolist()
        row = {"id": number, "image_id": number, "category_id": 1, "iscrowd": 0, "num_keypoints": 3}
        rows.append(row | {"keypoints": keypoints, "bbox": [20, 20, 60, 100], "area": 3000})
    category = {"id": 1, "name": "person", "keypoints": list(DOTS.keypoints), "skeleton": []}
    content = {"images": images, "annotations": rows, "categories": [category]}
    (folder / "dots.json").write_text(json.dumps(content))
    return folder


def test_a_space_is_shown_without_torch() -> None:
    shown = run_without(TRAIN_PACKAGES, ["space", "show", "demo", "--json"])
    assert shown.returncode == 0, shown.stderr
    document = json.loads(shown.stdout)
    assert document["size"] > 1000
    assert "stem.width" in document["dimensions"]
    assert {name: row["macs"] for name, row in document["networks"].items()} == {
        "smallest": None,
        "largest": None,
    }
    assert 'pip install ".[train]"' in shown.stderr


def test_an_arch_is_shown_without_torch() -> None:
    shown = run_without(TRAIN_PACKAGES, ["arch", "show", "litepose-auto-xs"])
    assert shown.returncode == 0, shown.stderr
    assert "stage 3" in shown.stdout
    assert "parameters" not in shown.stdout
    assert 'pip install ".[train]"' in shown.stderr


def test_an_exported_network_is_validated_without_torch(annotated: Path, tmp_path: Path) -> None:
    model = write_dot_model(tmp_path / "dots.onnx", (64, 48))
    command = ["validate", model, "--data", annotated / "dots.json", "--images", annotated, "--json"]
    done = run_without(TRAIN_PACKAGES, command)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["AP"] > 0.9
    refused = run_without(TRAIN_PACKAGES | EVALUATE_PACKAGES, command)
    assert refused.returncode == 2
    assert "needs faster_coco_eval, which is not installed" in refused.stderr
    assert 'pip install ".[evaluate]"' in refused.stderr


def test_every_package_has_an_extra_that_installs_it() -> None:
    extras = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    required = {
        extra: {line.split(">")[0].split("=")[0].replace("-", "_") for line in lines}
        for extra, lines in extras["optional-dependencies"].items()
    }
    assert required["evaluate"] >= EVALUATE_PACKAGES
    assert required["train"] >= TRAIN_PACKAGES | EVALUATE_PACKAGES
    assert not {name for name in extras["dependencies"] if name.startswith("opencv-python>")}
    assert how_to_install("numpy") is None
    assert "[evaluate]" in str(how_to_install("faster_coco_eval.core"))
