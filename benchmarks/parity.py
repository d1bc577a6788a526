"""Whether every form of a network finds the same: torch, ONNX, ONNX of pixels, ONNX of any number of images.

    python benchmarks/parity.py WEIGHTS.safetensors ... --data annotations.json --images FOLDER \
        [--count 200] [--out FILE.json]

All forms see the same crops (or whole images). Counted are keypoints within 0.01 px of torch's, in pixels of
the input. A keypoint that lies elsewhere with the same score is a tie: two peaks of the same height, of which
either may be found first. Ties are named, and so are keypoints that are no ties. AP is given of each form.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime
import torch

from nas.codecs import Poses
from nas.data import Annotations, load_annotations
from nas.evaluate.inputs import Input, InputSource
from nas.evaluate.loading import load_plain
from nas.evaluate.torch_model import TorchModel
from nas.evaluate.validate import score
from nas.evenly import evenly
from nas.graph import OnnxForm, export_onnx
from nas.models import PoseNet
from nas.runtime import OnnxModel, PoseModel
from nas.runtime.results import Detection, coco_results
from nas.timing import describe_device

NEAR = 0.01
"""Pixels of the input that equal keypoints lie apart, at most."""

SAME_SCORE = 1e-3
"""Confidences of ties differ by no more."""

FORMS = {
    "onnx": OnnxForm(),
    "uint8 onnx": OnnxForm(uint8_input=True),
    "batch onnx": OnnxForm(batch=None),
    "uint8 batch onnx": OnnxForm(batch=None, uint8_input=True),
}
_BATCH = 16


@dataclass
class Differences:
    """How one form's keypoints lie to torch's.

    Args:
        keypoints: that torch found.
        near: of them, those within `NEAR`.
        missing: poses of torch's on whose image the form found another number of poses.
        largest: px, among the near ones.
        ties, others: what lies farther away, with the same score and with another.
    """

    keypoints: int = 0
    near: int = 0
    missing: int = 0
    largest: float = 0.0
    ties: list[dict[str, Any]] = field(default_factory=list)
    others: list[dict[str, Any]] = field(default_factory=list)

    def note(self, expected: Poses, found: Poses, item: Input, annotations: Annotations) -> None:
        """Compare the poses of one input; each of torch's with the nearest."""
        self.keypoints += expected.keypoints[..., 2].size
        if len(expected) != len(found):
            self.missing += len(expected)
            return
        for pose in expected.keypoints:
            apart = np.linalg.norm(found.keypoints[..., :2] - pose[:, :2], axis=-1)
            nearest = int(np.argmin(apart.mean(1)))
            near = apart[nearest] <= NEAR
            self.near += int(near.sum())
            self.largest = max(self.largest, float(apart[nearest][near].max(initial=0)))
            for joint in np.flatnonzero(~near):
                scores = float(pose[joint, 2]), float(found.keypoints[nearest, joint, 2])
                row = {
                    "image": annotations.images[item.image].file,
                    "joint": annotations.skeleton.keypoints[joint],
                    "px": round(float(apart[nearest, joint]), 3),
                    "scores": [round(value, 6) for value in scores],
                }
                (self.ties if abs(scores[0] - scores[1]) <= SAME_SCORE else self.others).append(row)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        share = self.near / self.keypoints if self.keypoints else 1.0
        return {**vars(self), "share": share}


def compare(models: Mapping[str, PoseModel], annotations: Annotations) -> dict[str, Any]:
    """By form: how its keypoints lie to those of the first, and its AP."""
    first, *others = models
    source = InputSource(annotations, models[first])
    detections: dict[str, list[Detection]] = {name: [] for name in models}
    differences = {name: Differences() for name in others}
    for items in source.batches(_BATCH, workers=1):
        pixels = np.stack([item.pixels for item in items])
        found = {
            name: [model.codec.group(candidates) for candidates in model.candidates(pixels)]
            for name, model in models.items()
        }
        for number, item in enumerate(items):
            image = annotations.images[item.image].id
            for name in models:
                detections[name] += coco_results(
                    found[name][number], item.inverse, image_id=image, category_id=annotations.category
                )
            for name in others:
                differences[name].note(found[first][number], found[name][number], item, annotations)
    return {
        name: {
            "AP": score(detections[name], annotations)["AP"],
            **(differences[name].to_json() if name in differences else {}),
        }
        for name in models
    }


def forms_of(net: PoseNet, folder: Path) -> dict[str, PoseModel]:
    """A plain network in torch, and in every form of a file, written into a folder."""
    models: dict[str, PoseModel] = {"torch": TorchModel(net)}
    for name, form in FORMS.items():
        path = folder / f"{name.replace(' ', '-')}.onnx"
        export_onnx(net, path, form=form)
        models[name] = OnnxModel(path)
    return models


def some(annotations: Annotations, count: int) -> Annotations:
    """At most so many of the labelled images, evenly spread."""
    labelled = annotations.labelled_images
    return annotations.select(
        annotations.images[image].id for image in labelled[evenly(len(labelled), count)]
    )


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Compare and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)

    torch.set_num_threads(1)
    networks = {}
    for path in given.weights:
        net = load_plain(path)
        annotations = some(load_annotations(given.data, given.images, net.skeleton), given.count)
        with TemporaryDirectory(prefix="nas-parity-") as folder:
            models = forms_of(net, Path(folder))
            found = compare(models, annotations)
        task, head = models["torch"].task, net.resolve(None).head.type
        networks[path.stem] = {"head": head, "task": task, "images": len(annotations.images), "forms": found}
        print(f"{path.stem}: {head}, {task}, {len(annotations.images)} images")
        for name, row in found.items():
            print(f"  {name:18s} AP {row['AP']:.6f}" + (_told(row) if "share" in row else ""))
    result = {
        "date": date.today().isoformat(),
        "processor": describe_device().cpu,
        "torch": torch.__version__,
        "onnxruntime": onnxruntime.__version__,
        "data": given.data.name,
        "networks": networks,
    }
    if given.out:
        given.out.write_text(json.dumps(result, indent=2) + "\n")
    return result


def _told(row: Mapping[str, Any]) -> str:
    return (
        f", {row['share']:.4%} of {row['keypoints']} keypoints within {NEAR} px, {len(row['ties'])} ties, "
        f"{len(row['others'])} others, {row['missing']} poses missing"
    )


if __name__ == "__main__":
    main()
