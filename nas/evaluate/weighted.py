"""Metrics for any weights of a set's images: of a part of it, and of sets drawn from it anew (bootstrap)."""

import re
from collections.abc import Callable

import numpy as np

from nas.arrays import Floats, Ints
from nas.coco import AREA_OF_BOX
from nas.data.annotations import Annotations
from nas.evaluate.by_size import SIZES
from nas.evaluate.crowdpose import level_of
from nas.evaluate.matching import THRESHOLDS, Matches, match_detections
from nas.evaluate.oks import EVERY_AREA
from nas.evaluate.pck import Reference, right_joints
from nas.evaluate.validate import NOBODY, ModelAnswers, answers_of

WeightedMetric = Callable[[Floats], Floats]
"""Takes weights [B, I] of a set's images, gives the metric [B]; `NOBODY` where nobody is left to measure."""

_RECALLS = np.linspace(0, 1, 101)
_OKS = re.compile(r"(?P<crowd>CrowdPose_)?(?P<kind>AP|AR)(?P<threshold>50|75)?(_(?P<part>[a-z]+))?")


def bootstrap_weights(images: int, *, draws: int, seed: int = 0) -> Floats:
    """Weights [draws, images] of sets drawn with replacement, always the same ones for a seed.

    People are drawn with those they share an image with. Two networks that are compared on the same draws are
    compared pairwise.
    """
    rng = np.random.default_rng((seed, images))
    return rng.multinomial(images, np.full(images, 1 / images), size=draws).astype(float)


def weighted_metric(metric: str, found: ModelAnswers, annotations: Annotations) -> WeightedMetric:
    """One of the figures of `score`, for what a model found in a set. Raises ValueError for another name."""
    if metric.startswith("PCK_"):
        return _share_of_joints(metric, found, annotations)
    name = _OKS.fullmatch(metric)
    if name is None:
        raise ValueError(f"{metric} is none of the metrics that images can be weighted in")
    kind, part = name["kind"], name["part"]
    thresholds = list(range(len(THRESHOLDS)))
    if name["threshold"] is not None:
        thresholds = [int(np.abs(THRESHOLDS - int(name["threshold"]) / 100).argmin())]
    people, shown = annotations.people, np.ones(len(annotations.images))
    if name["crowd"]:
        matches = match_detections(
            found.detections, annotations, areas=people.bbox[:, 2:].prod(axis=1) * AREA_OF_BOX
        )
        if part is not None:
            levels = [level_of(image.crowd_index or 0.0) for image in annotations.images]
            shown = np.array([level == part for level in levels], float)
    else:
        area = EVERY_AREA if part is None else SIZES[part]
        matches = match_detections(found.detections, annotations, area=area)
    figure = _precision if kind == "AP" else _recall
    return lambda weights: figure(matches, weights * shown, thresholds)


def _precision(matches: Matches, weights: Floats, thresholds: list[int]) -> Floats:
    """Mean precision [B] at 101 recalls; a weighted detection stands for so many equal ones."""
    people = weights @ matches.people
    drawn = weights[:, matches.image]
    total = np.zeros(len(weights))
    somebody = np.where(people > 0, people, 1)[:, None]
    for threshold in thresholds:
        right = np.cumsum(drawn * matches.right[:, threshold], axis=1)
        counted = np.cumsum(drawn * matches.counted[:, threshold], axis=1)
        precision = right / (counted + np.spacing(1))
        highest = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        reached = _recalls_within(right / somebody)
        total += (np.diff(reached, axis=1, prepend=0) * highest).sum(axis=1) / len(_RECALLS)
    return np.where(people > 0, total / len(thresholds), NOBODY)


def _recalls_within(recall: Floats) -> Ints:
    """How many of the recalls that precision is read at are at most as high; the last digit counts."""
    place = (100 * recall + 1e-9).astype(np.int64)
    return place + 1 - (_RECALLS[place] > recall)


def _recall(matches: Matches, weights: Floats, thresholds: list[int]) -> Floats:
    """The share [B] of people who are found."""
    people = weights @ matches.people
    found = weights[:, matches.image] @ matches.right[:, thresholds].mean(axis=1)
    return np.where(people > 0, found / np.where(people > 0, people, 1), NOBODY)


def _share_of_joints(metric: str, found: ModelAnswers, annotations: Annotations) -> WeightedMetric:
    """PCK over all keypoints."""
    reference, _, threshold = metric.removeprefix("PCK_").partition("@")
    people = annotations.people
    answers = answers_of(found.detections, annotations) if found.answers is None else found.answers
    rows = people.labelled
    right, counted = (
        np.bincount(people.image[rows], flags.sum(axis=1), minlength=len(annotations.images))
        for flags in right_joints(
            answers[rows],
            people.keypoints[rows],
            annotations.skeleton,
            reference=_REFERENCES[reference],
            threshold=float(threshold),
        )
    )

    def share(weights: Floats) -> Floats:
        total = weights @ counted
        return np.where(total > 0, weights @ right / np.where(total > 0, total, 1), NOBODY)

    return share


_REFERENCES: dict[str, Reference] = {"torso": "torso", "head": "head"}
