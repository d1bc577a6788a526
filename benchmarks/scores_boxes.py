"""Does the score of a pose tell boxes with a person from boxes without?

    python benchmarks/scores_boxes.py MODEL.onnx ... --data FOLDER --out results/scores/boxes.json

FOLDER holds COCO annotations (`annotations/*.json`) and their `images`. A network for crops is shown the
boxes of all people, and boxes of the same sizes that touch nobody: no person, no crowd. Printed is the area
under the ROC curve of the scores of both, 0.5 for chance, with a 95 % interval from drawing pictures anew.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from nas.arrays import Floats
from nas.runtime import OnnxModel, PosePipeline
from nas.runtime.poses import MIN_POSE

Boxes = Floats
"""[N, 4] x0, y0, x1, y1 (px)."""

LEAST_SIDE = 24
"""Pixels: smaller people are left out, of whom little is to be seen."""

TRIES = 200
ROUNDS = 2000


@dataclass(frozen=True)
class Picture:
    """A picture's file and its boxes with a person and without."""

    path: Path
    people: Boxes
    empty: Boxes


def pictures(data: Path, rng: np.random.Generator) -> list[Picture]:
    """All pictures of a COCO folder, with boxes of both kinds."""
    taken: dict[str, list[Boxes]] = {}
    people: dict[str, list[Boxes]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for file in sorted((data / "annotations").glob("*.json")):
        content = json.loads(file.read_text(encoding="utf-8"))
        names = {image["id"]: image["file_name"] for image in content["images"]}
        sizes |= {image["file_name"]: (image["width"], image["height"]) for image in content["images"]}
        for annotation in content["annotations"]:
            x, y, width, height = annotation["bbox"]
            box = np.array([x, y, x + width, y + height]) - 0.5
            taken.setdefault(names[annotation["image_id"]], []).append(box)
            if not annotation["iscrowd"] and min(width, height) >= LEAST_SIDE:
                people.setdefault(names[annotation["image_id"]], []).append(box)
    spans = np.array([box[2:] - box[:2] for boxes in people.values() for box in boxes])
    count = 2 * -(-len(spans) // len(sizes))
    found = []
    for name, size in sorted(sizes.items()):
        empty = empty_boxes(size, np.reshape(taken.get(name, []), (-1, 4)), spans, count=count, rng=rng)
        found.append(
            Picture(
                data / "images" / name, np.unique(np.reshape(people.get(name, []), (-1, 4)), axis=0), empty
            )
        )
    return found


def empty_boxes(
    size: tuple[int, int], taken: Boxes, spans: Floats, *, count: int, rng: np.random.Generator
) -> Boxes:
    """Up to `count` boxes within a picture (w, h) that touch none that is taken, of sizes [M, 2] given."""
    found: list[Boxes] = []
    for _ in range(TRIES):
        span = spans[rng.integers(len(spans))]
        if len(found) == count or (span >= size).any():
            continue
        low = rng.uniform(0, np.array(size) - span) - 0.5
        box = np.concatenate([low, low + span])
        apart = (box[2:] < taken[:, :2]) | (taken[:, 2:] < box[:2])
        if apart.any(1).all():
            found.append(box)
    return np.reshape(found, (-1, 4))


def auc(positive: Floats, negative: Floats) -> float:
    """How often a positive is above a negative; ties count half (Mann and Whitney)."""
    ranks = rankdata(np.concatenate([positive, negative]))[: len(positive)]
    return float((ranks.mean() - (len(positive) + 1) / 2) / len(negative))


def interval(scores: Sequence[tuple[Floats, Floats]], rng: np.random.Generator) -> list[float]:
    """A 95 % interval of the area of scores (with, without) by picture."""
    areas = []
    for _ in range(ROUNDS):
        drawn = [scores[index] for index in rng.integers(len(scores), size=len(scores))]
        positive, negative = (np.concatenate([pair[kind] for pair in drawn]) for kind in (0, 1))
        if len(positive) and len(negative):
            areas.append(auc(positive, negative))
    return [float(bound) for bound in np.quantile(areas, (0.025, 0.975))]


def measured(model: Path, found: Sequence[Picture], seed: int) -> Mapping[str, object]:
    """What one network's scores say."""
    network = OnnxModel(model)
    pipeline = PosePipeline(network)
    scores = [
        (pipeline(picture.path, picture.people).scores, pipeline(picture.path, picture.empty).scores)
        for picture in found
    ]
    positive, negative = (np.concatenate([pair[kind] for pair in scores]) for kind in (0, 1))
    return {
        "head": network.arch.head.type,
        "resolution": list(network.resolution),
        "people": len(positive),
        "empty": len(negative),
        "auc": auc(positive, negative),
        "auc_95": interval(scores, np.random.default_rng(seed)),
        "median_people": float(np.median(positive)),
        "median_empty": float(np.median(negative)),
        "drawn_people": float((positive >= MIN_POSE).mean()),
        "drawn_empty": float((negative >= MIN_POSE).mean()),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    found = pictures(arguments.data, np.random.default_rng(arguments.seed))
    rows = []
    for model in arguments.models:
        rows.append({"model": model.name, **measured(model, found, arguments.seed)})
        print(json.dumps(rows[-1]))
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
