"""Poses of several views of a person, turned back and joined."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from nas.arrays import Floats, Pixels
from nas.coco import AREA_OF_BOX
from nas.codecs import Poses
from nas.codecs.types import FloatArray
from nas.evaluate.similarity import oks
from nas.labels.settings import Views
from nas.runtime import PosePipeline
from nas.runtime.poses import MIN_KEYPOINT

SIMILAR = 0.3
"""The least similarity of two poses of one person."""


def poses_of_boxes(pipeline: PosePipeline, pixels: Pixels, boxes: Floats, views: Views) -> Poses:
    """One pose for every box [N, 4], joined over the views; of score 0 where none was found.

    Args:
        pipeline: of a network for crops.
        pixels: RGB [H, W, 3].
        boxes: x0, y0, x1, y1 (px).
        views: of every box.

    Raises:
        UserError: a box has no extent, or the network cannot be run.
    """
    shape = (len(views.each), len(boxes), len(pipeline.model.skeleton), 3)
    keypoints, scores = np.full(shape, np.nan), np.zeros(shape[:2])
    for view, (rotation, flip) in enumerate(views.each):
        for row, found in enumerate(pipeline.by_box(pixels, boxes, rotation=rotation, flip=flip)):
            if len(found):
                best = int(found.scores.argmax())
                keypoints[view, row], scores[view, row] = found.keypoints[best], found.scores[best]
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return join_views(keypoints, scores, np.sqrt(AREA_OF_BOX * sides.prod(1)), agreement=views.agreement)


def poses_of_image(pipeline: PosePipeline, pixels: Pixels, views: Views) -> Poses:
    """The poses that the first view of a whole image shows, joined with the most similar ones of the others.

    Args:
        pipeline: of a network for whole images.
        pixels: RGB [H, W, 3].
        views: of the image.

    Raises:
        UserError: the network cannot be run.
    """
    (rotation, flip), *others = views.each
    (first,) = pipeline.by_box(pixels, rotation=rotation, flip=flip)
    keypoints = np.full((1 + len(others), *first.keypoints.shape), np.nan)
    scores = np.zeros(keypoints.shape[:2])
    keypoints[0], scores[0] = first.keypoints, first.scores
    areas = AREA_OF_BOX * np.array([extent(pose).prod() for pose in first.keypoints])
    for view, (rotation, flip) in enumerate(others, start=1):
        (found,) = pipeline.by_box(pixels, rotation=rotation, flip=flip)
        similarity = oks(found.keypoints, first.keypoints, areas=areas, sigmas=pipeline.model.skeleton.sigmas)
        for row, column in pairs(similarity):
            keypoints[view, column], scores[view, column] = found.keypoints[row], found.scores[row]
    return join_views(keypoints, scores, np.sqrt(areas), agreement=views.agreement)


def join_views(keypoints: FloatArray, scores: FloatArray, scales: FloatArray, *, agreement: float) -> Poses:
    """The poses of several views as one each.

    The middle of a joint is the median of its places, along x and y. The places within `agreement` of it are
    averaged where they are those of more than half of all views; else the joint's score is 0. Scores are
    averages over all views, of which those that see the joint elsewhere, or the person not at all, give 0.

    Args:
        keypoints: [V, N, K, 3] x, y (px), score; NaN where a view shows no such person.
        scores: [V, N] of the poses, 0 there.
        scales: [N] px, of the people.
        agreement: in a person's scale.
    """
    views, seen = len(keypoints), np.asarray(np.isfinite(keypoints).all(-1), np.bool_)
    places = np.where(seen[..., None], keypoints[..., :2], np.nan)
    # Where no view shows the person at all, a median would only warn.
    middle = np.nanmedian(np.where(np.asarray(seen.any(0))[..., None], places, 0.0), axis=0)
    away = np.linalg.norm(places - middle, axis=-1)
    agree = np.asarray(away <= agreement * np.asarray(scales)[:, None], np.bool_)
    count = agree.sum(0)
    mean = np.where(agree[..., None], places, 0.0).sum(0) / np.maximum(count, 1)[..., None]
    kept = np.asarray(2 * count > views, np.bool_)
    score = np.where(kept, np.where(agree, keypoints[..., 2], 0.0).sum(0) / views, 0.0)
    joined = np.concatenate([np.where(kept[..., None], mean, middle), score[..., None]], axis=-1)
    return Poses(joined, np.asarray(scores).sum(0) / views)


def pairs(similarity: FloatArray) -> Sequence[tuple[int, int]]:
    """Rows and columns of the best assignment, of those that are similar at all."""
    rows, columns = linear_sum_assignment(similarity, maximize=True)
    return [
        (int(row), int(column))
        for row, column in zip(rows, columns, strict=True)
        if similarity[row, column] >= SIMILAR
    ]


def extent(keypoints: FloatArray) -> Floats:
    """Width and height (px) that the joints [K, 3] span which are worth drawing."""
    places = keypoints[keypoints[:, 2] >= least_drawn(keypoints), :2]
    return np.asarray(np.maximum(np.ptp(places, axis=0), 1.0), np.float64)


def least_drawn(keypoints: FloatArray) -> float:
    """The least score of the joints [K, 3] worth drawing; 0, where none is."""
    return MIN_KEYPOINT if (keypoints[:, 2] >= MIN_KEYPOINT).any() else 0.0
