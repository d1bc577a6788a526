"""A recipe of one's own with its space, skeleton and data, as a user has them: in folders that can move."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from tiny_training import RECIPE, SPACE

from nas.cli.main import run as nas
from nas.space import Skeleton


class Project:
    """`recipes/recipe.yaml`, `recipes/space.yaml`, `recipes/skeleton.yaml` and `data/` below a folder.

    Args:
        folder: need not exist.
        files: `people.json` and `images/`, which are copied.
    """

    def __init__(self, folder: Path, files: Path) -> None:
        self.folder = folder
        self.recipes = folder / "recipes"
        self.recipes.mkdir(parents=True)
        self.data.mkdir()
        shutil.copy(files / "people.json", self.data)
        shutil.copytree(files / "images", self.data / "images")
        self.write("space", SPACE)
        self.write("skeleton", {**Skeleton.load("coco17").to_json(), "name": "mine"})
        source = {"annotations": "people.json", "images": "images"}
        data = {"root": "../data", "train": source, "augment": "weak", "workers": 0, "cache_mib": 0}
        self.write(
            "recipe",
            {**RECIPE, "steps": 4, "space": "space.yaml", "skeleton": "skeleton.yaml", "data": data}
            | {"checkpoint": {"every": 2, "keep": 3}, "finetune": {**RECIPE["finetune"], "steps": 2}},
        )

    @property
    def recipe(self) -> Path:
        return self.recipes / "recipe.yaml"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def run(self) -> Path:
        return self.folder / "runs" / "tiny"

    def write(self, name: str, content: Any) -> None:
        """Write one of the YAML files."""
        (self.recipes / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))

    def change(self, name: str, /, **fields: Any) -> None:
        """Change fields of one of the YAML files."""
        path = self.recipes / f"{name}.yaml"
        self.write(name, {**yaml.safe_load(path.read_text()), **fields})

    def train(self, *options: str) -> int:
        """The exit code of `nas train`."""
        return nas(["train", str(self.recipe), "--runs", str(self.run.parent), *options])

    def relabel(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the annotation file."""
        path = self.data / "people.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))


def interrupted(run: Path) -> None:
    """Make a finished training one that was killed after its last but one checkpoint."""
    (run / "weights.safetensors").unlink()
    shutil.rmtree(sorted((run / "checkpoints").glob("step-*"))[-1])


def renumber(content: dict[str, Any]) -> None:
    """Other ids for the same pictures, as an annotation tool gives them at its next export."""
    count = len(content["images"])
    for image in content["images"]:
        image["id"] = count + 1 - image["id"]
    for person in content["annotations"]:
        person["image_id"] = count + 1 - person["image_id"]


def move_a_joint(content: dict[str, Any]) -> None:
    content["annotations"][-1]["keypoints"][0] += 1


def make_a_crowd(content: dict[str, Any]) -> None:
    content["annotations"][-1]["iscrowd"] = 1


def widen_a_box(content: dict[str, Any]) -> None:
    content["annotations"][0]["bbox"][2] -= 1


def swap_two_names(content: dict[str, Any]) -> None:
    first, *_, last = content["images"]
    first["file_name"], last["file_name"] = last["file_name"], first["file_name"]


def forget_an_image(content: dict[str, Any]) -> None:
    gone = content["images"].pop()["id"]
    content["annotations"] = [row for row in content["annotations"] if row["image_id"] != gone]


OTHER_DATA = (renumber, move_a_joint, make_a_crowd, widen_a_box, swap_two_names, forget_an_image)
