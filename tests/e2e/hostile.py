"""A user's folder, broken files to hand to commands in it, and what every command must do with them."""

import hashlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from nas.space import Skeleton

ROOT = Path(__file__).resolve().parents[2]
_PREAMBLE = f"""
nas() {{ {shlex.quote(sys.executable)} -m nas "$@"; }}
SET='--data set/annotations/train.json --images set/images'
RUN='runs/tiny --predictor predictor.json'
"""

RECIPE: Mapping[str, Any] = {
    "name": "tiny",
    "space": "demo",
    "skeleton": "coco17",
    "data": {
        "root": "set",
        "train": {"annotations": "annotations/train.json", "images": "images"},
        "augment": "weak",
        "workers": 0,
    },
    "steps": 2,
    "batch": 4,
    "schedule": {"warmup": 1},
    "sampling": {"fair": "macs", "bins": 4, "pool": 20},
    "calibration": {"images": 4, "batch": 4},
    "checkpoint": {"every": 2},
    "finetune": {"steps": 2, "batch": 4},
}

BROKEN: Mapping[str, bytes | None] = {
    "missing": None,
    "empty": b"",
    "words": b"hello, world\n",
    "torn": b'{"images": [{"id": 1, "file_na',
    "deep": b"[" * 200_000,
    "list": b"[]",
    "nan": b'{"version": NaN, "images": [NaN], "annotations": [], "categories": []}',
    "huge number": b'{"version": 1' + b"0" * 5000 + b"}",
    "twice": b'{"version": 1, "version": 2}',
    "bytes": bytes(range(256)) * 40,
    "null": b"null",
}
"""Contents that no document, picture, network or table has; None for no file at all."""


@dataclass(frozen=True)
class Workspace:
    """A user's folder: a set, a trained run, an exported network, a table and a predictor.

    Args:
        folder: where all of it lies; commands run in it.
    """

    folder: Path

    def run(self, line: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a line of a shell in which `nas` is the command."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **variables}
        return subprocess.run(
            ["bash", "-c", f"{_PREAMBLE}\n{line}"],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            timeout=120,
            check=False,
            encoding="utf-8",
            errors="surrogateescape",
        )

    def digests(self) -> dict[str, str]:
        """Of every file of the user's; what commands may add to is left out."""
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and path.name not in (".lock", "environment.json")
        }


@dataclass(frozen=True)
class Hostile:
    """One hostile run.

    Args:
        line: of a shell, run in the workspace; {t} is a folder of its own.
        says: what the output must hold.
        codes: the exit codes that are right.
        prepare: makes what the line needs, in {t}.
        variables: of the environment.
    """

    line: str
    says: str = ""
    codes: tuple[int, ...] = (2,)
    prepare: Callable[[Path], object] = field(default=lambda folder: None)
    variables: Mapping[str, str] = field(default_factory=dict)


def make_workspace(folder: Path) -> Workspace:
    """Everything that a user has after a first day. Raises where one of the honest commands fails."""
    make_set(folder / "set", 8)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(dict(RECIPE)))
    workspace = Workspace(folder)
    for line in (
        "nas train tiny.yaml",
        "nas latency measure --space demo --samples 8 --visits 1 --table table.jsonl",
        "nas latency fit table.jsonl --out predictor.json",
        "nas search runs/tiny --budget-ms 5 --trials 2 --finalists 1 --predictor predictor.json",
        "nas finetune runs/tiny runs/tiny/subnets/5ms-*.json --name tuned",
        "cp runs/tiny/subnets/tuned.safetensors w.safetensors; cp runs/tiny/subnets/5ms-*.json arch.json",
        "nas export w.safetensors --out m.onnx",
    ):
        done = workspace.run(line)
        if done.returncode:
            raise RuntimeError(f"{line}: {done.stderr}")
    return workspace


def make_set(folder: Path, count: int) -> dict[str, Any]:
    """A COCO keypoint set of drawn pictures of 160 x 128 px with one person each; what its file holds."""
    rng = np.random.default_rng(0)
    names = Skeleton.load("coco17").keypoints
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    images, people = [], []
    for number in range(1, count + 1):
        blobs = rng.integers(0, 255, (8, 10, 3), np.uint8)
        picture = cv2.resize(blobs, (160, 128), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / "images" / f"{number:03d}.jpg"), picture)
        places = rng.uniform((30, 20), (90, 110), (len(names), 2)).round(1).tolist()
        images.append({"id": number, "file_name": f"{number:03d}.jpg", "width": 160, "height": 128})
        people.append(
            {
                "id": number,
                "image_id": number,
                "category_id": 1,
                "bbox": [25, 15, 70, 100],
                "area": 3700,
                "iscrowd": 0,
                "num_keypoints": len(names),
                "keypoints": [value for x, y in places for value in (x, y, 2)],
            }
        )
    category = {"id": 1, "name": "person", "keypoints": list(names), "skeleton": []}
    content = {"images": images, "annotations": people, "categories": [category]}
    (folder / "annotations" / "train.json").write_text(json.dumps(content))
    return content
