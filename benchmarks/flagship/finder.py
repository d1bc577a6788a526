"""How many people a network for whole images finds: boxes around its poses against those of annotations."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from benchmarks.flagship.figures import bounds, drawn_weights
from nas.arrays import Flags, Floats, Ints
from nas.data import Annotations, load_annotations
from nas.data.images import read_annotated
from nas.evaluate.loading import load_model
from nas.files import write_json
from nas.labels.merge import overlaps
from nas.runtime.detector import Detector
from nas.runtime.frames import ColourFrame
from nas.runtime.pose_detector import PoseDetector

IOU = 0.5
_TALL = 0.25
"""Of the picture's height."""


def people_found(boxes: Floats, people: Floats) -> Flags:
    """Which people [M, 4] have a box [N, 4] of their own that overlaps them by half: [M]; corners, px.

    Boxes are dealt out so that as many people as possible have one.
    """
    fits = (overlaps(_sized(boxes), _sized(people)) >= IOU).astype(float)
    rows, columns = linear_sum_assignment(fits, maximize=True)
    found = np.zeros(len(people), bool)
    found[columns] = fits[rows, columns] > 0
    return found


def recall(detector: Detector, annotations: Annotations) -> dict[str, Any]:
    """The share of people that are found, with the interval of images drawn anew, of all and of some.

    `labelled` are people with keypoints, `tall` those of a quarter of the picture's height and more.
    """
    people = annotations.people
    one = ~people.crowd & (people.bbox[:, 2:] > 0).all(1)
    heights = np.array([image.size[0] for image in annotations.images], float)
    groups = {
        "all": one,
        "labelled": one & people.labelled,
        "tall": one & (people.bbox[:, 3] >= _TALL * heights[people.image]),
    }
    counts, found = np.zeros(len(annotations.images)), np.zeros(len(people), bool)
    for image in range(len(annotations.images)):
        (answer,) = detector([ColourFrame.of(read_annotated(annotations, image))])
        rows = np.arange(len(people))[annotations.people_of(image)]
        rows = rows[one[rows]]
        counts[image] = len(answer.boxes)
        found[rows] = people_found(answer.boxes, people.boxes[rows])
    weights = drawn_weights(len(annotations.images))
    figures: dict[str, Any] = {"images": len(annotations.images), "boxes": int(counts.sum())}
    figures["precision"] = _share(found[one], people.image[one], counts, weights)
    for name, rows in groups.items():
        total = np.bincount(people.image[rows], minlength=len(annotations.images)).astype(float)
        figures[name] = {"people": int(rows.sum()), **_share(found[rows], people.image[rows], total, weights)}
    return figures


def measure(
    model: Path, data: Path, images: Path, *, min_pose: float | None = None, out: Path | None = None
) -> dict[str, Any]:
    """What `recall` says of a network's file; written to `out`, where that is given."""
    network = load_model(model, threads=1)
    annotations = load_annotations(data, images, network.skeleton)
    figures = {
        "model": model.name,
        "set": data.name,
        "iou": IOU,
        **({} if min_pose is None else {"min_pose": min_pose}),
        **recall(PoseDetector(network, min_pose=min_pose), annotations),
    }
    if out is not None:
        write_json(out, figures)
    return figures


def told(figures: dict[str, Any]) -> Sequence[str]:
    """Figures of `measure`, line by line."""
    lines = [f"{figures['boxes']} boxes in {figures['images']} images"]
    for name in ("all", "labelled", "tall", "precision"):
        each = figures[name]
        who = f"recall of {each['people']} people, {name}" if "people" in each else name
        if each["value"] is None:
            lines.append(f"{who}: nobody to measure it on")
        elif each["low"] is None:
            lines.append(f"{who}: {each['value']:.3f}")
        else:
            lines.append(f"{who}: {each['value']:.3f} [{each['low']:.3f}, {each['high']:.3f}]")
    return lines


def _sized(corners: Floats) -> Floats:
    """Boxes [N, 4] of two corners as x, y, width, height."""
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


def _share(found: Flags, image: Ints, total: Floats, weights: Floats) -> dict[str, Any]:
    """How many of `total` [I] are found, with its interval, as plain data."""
    right = weights @ np.bincount(image, found, minlength=len(total))
    of_all = weights @ total
    values = np.where(of_all > 0, right / np.where(of_all > 0, of_all, 1), np.nan)
    return bounds([values]).to_json()
