"""Metrics of trained networks on the same people, and on the same draws of them: paired bootstrap."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nas.arrays import Flags, Floats, Ints
from nas.data import Annotations
from nas.evaluate.pck import right_joints
from nas.evaluate.validate import NOBODY, ModelAnswers, answers_of
from nas.evaluate.weighted import bootstrap_weights, weighted_metric
from nas.runtime.results import Detection
from nas.search.diagnosis.statistics import Bounded

LIMBS = tuple(
    f"{side}_{joint}"
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
)
"""The joints that PCK counts."""
THRESHOLDS = (0.2, 0.1)
METRICS = (*(f"PCK@{threshold:g}" for threshold in THRESHOLDS), "AP")
DRAWS = 2000


def drawn_weights(images: int, *, draws: int = DRAWS) -> Floats:
    """Weights [1 + draws, images]: of the set as it is, then of sets drawn from it anew."""
    return np.concatenate([np.ones((1, images)), bootstrap_weights(images, draws=draws)])


def limb_counts(detections: Sequence[Detection], annotations: Annotations) -> tuple[dict[float, Ints], Ints]:
    """Of each image, how many limb joints are right, by threshold [I], and how many count [I].

    Right is what lies within the threshold's share of the torso's length.
    """
    people, skeleton = annotations.people, annotations.skeleton
    answers, rows = answers_of(detections, annotations), people.labelled
    columns = [skeleton.index(name) for name in LIMBS]

    def of_images(flags: Flags) -> Ints:
        sums = np.bincount(people.image[rows], flags[:, columns].sum(1), minlength=len(annotations.images))
        return sums.astype(np.int64)

    found, counted = {}, None
    for threshold in THRESHOLDS:
        right, counted = right_joints(
            answers[rows], people.keypoints[rows], skeleton, reference="torso", threshold=threshold
        )
        found[threshold] = of_images(right)
    assert counted is not None
    return found, of_images(counted)


def metrics_of(
    detections: Sequence[Detection], annotations: Annotations, weights: Floats
) -> dict[str, Floats]:
    """Every metric [B] for weights [B, I] of the images; NaN where nobody is left to measure it on."""
    right, counted = limb_counts(detections, annotations)
    total = weights @ counted
    found = {
        f"PCK@{threshold:g}": np.where(total > 0, weights @ each / np.where(total > 0, total, 1), np.nan)
        for threshold, each in right.items()
    }
    ap = weighted_metric("AP", ModelAnswers(detections, None), annotations)(weights)
    return {**found, "AP": np.where(ap == NOBODY, np.nan, ap)}


def bounds(seeds: Sequence[Floats], *, less: Sequence[Floats] = (), seed: int = 0) -> Bounded:
    """The mean of a metric over seeds of a training, and its 95 % interval; or two such means' difference.

    Every draw is of people, the same ones for all networks, and of the seeds of each row.

    Args:
        seeds: of each training of a row, the metric [1 + B] of the people as they are, and as drawn.
        less: the same of the row that it is compared with.
        seed: of the draws of seeds.
    """
    rng = np.random.default_rng(seed)
    values = _over_seeds(seeds, rng)
    if less:
        values = values - _over_seeds(less, rng)
    known = values[1:][np.isfinite(values[1:])]
    low, high = np.quantile(known, (0.025, 0.975)).tolist() if len(known) else (np.nan, np.nan)
    return Bounded(float(values[0]), low, high)


def verdict(ahead: Mapping[str, Any]) -> str:
    """What a difference to a baseline says, in words."""
    if ahead["low"] is None:
        return "not known"
    if ahead["low"] > 0:
        return "ahead"
    if ahead["high"] < 0:
        return "behind"
    return "no difference that can be told"


def _over_seeds(seeds: Sequence[Floats], rng: np.random.Generator) -> Floats:
    """The mean over seeds, in every draw over seeds drawn anew; [0] is of each seed once."""
    values = np.stack(seeds)
    drawn = rng.integers(len(values), size=values.shape)
    drawn[:, 0] = np.arange(len(values))
    return np.asarray(np.take_along_axis(values, drawn, axis=0).mean(axis=0), np.float64)
