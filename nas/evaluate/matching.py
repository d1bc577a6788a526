"""Whom detections find, as COCO matches them: image by image, the surest detection first."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.arrays import Flags, Floats, Ints
from nas.codecs.similarity import keypoint_similarity
from nas.data.annotations import Annotations
from nas.evaluate.oks import EVERY_AREA, MAX_DETECTIONS
from nas.evaluate.similarity import oks, paired_oks
from nas.runtime.results import Detection

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""Of OKS: a detection that is as similar has found somebody."""
_REACHED = np.minimum(THRESHOLDS, 1 - 1e-10)

_Seen = tuple[int, list[Detection], Ints]
"""An image's position, its surest detections, the rows of its people."""
_Part = tuple[Ints, Floats, Floats, Flags, Flags]
"""Of detections: images' positions, scores, poses, whether they find somebody, and one to be ignored."""


@dataclass(frozen=True)
class Matches:
    """The detections of a set, the surest first.

    Args:
        image: [D] positions of their images.
        right: [D, T] whether each finds somebody who counts, by threshold.
        counted: [D, T] whether it counts at all: what finds somebody to be ignored does not.
        people: [I] how many people of each image count.
    """

    image: Ints
    right: Flags
    counted: Flags
    people: Ints


def match_detections(
    detections: Sequence[Detection],
    annotations: Annotations,
    *,
    area: tuple[float, float] = EVERY_AREA,
    areas: Floats | None = None,
) -> Matches:
    """Match detections with people; of each image the 20 surest are looked at.

    Args:
        detections: COCO keypoint results.
        annotations: the truth.
        area: px^2, from .. to; people of other sizes are to be ignored.
        areas: [N] px^2 of all people, where they are not the annotated ones.
    """
    people = annotations.people
    areas = people.areas if areas is None else areas
    ignored = people.crowd | (people.num_keypoints == 0) | (areas < area[0]) | (areas > area[1])
    by_image: defaultdict[int, list[Detection]] = defaultdict(list)
    for detection in detections:
        by_image[detection["image_id"]].append(detection)
    alone: list[_Seen] = []
    others: list[_Seen] = []
    for position, image in enumerate(annotations.images):
        if image.id not in by_image:
            continue
        found = sorted(by_image[image.id], key=lambda detection: -detection["score"])[:MAX_DETECTIONS]
        span = annotations.people_of(position)
        rows = np.arange(span.start, span.stop)
        single = len(found) == len(rows) == 1 and bool((people.keypoints[rows, :, 2] > 0).any())
        (alone if single else others).append((position, found, rows))
    parts: list[_Part] = [_pair(alone, annotations, areas, ignored)] if alone else []
    for position, found, rows in others:
        poses = _poses(found)
        similarity = _similarity(poses, annotations, rows, areas[rows])
        hit, passed = _match(similarity, ignored=ignored[rows], crowd=people.crowd[rows])
        parts.append((np.full(len(found), position), _scores(found), poses, hit, passed))
    counts = np.bincount(people.image[~ignored], minlength=len(annotations.images))
    if not parts:
        none = np.zeros((0, len(THRESHOLDS)), bool)
        return Matches(np.zeros(0, np.int64), none, none, counts)
    place, score, poses, hit, passed = (np.concatenate(column) for column in zip(*parts, strict=True))
    size = np.ptp(poses[..., :2], axis=1).prod(axis=-1)
    passed |= ~hit & ((size < area[0]) | (size > area[1]))[:, None]
    # Where scores are equal, COCO goes by the images' ids.
    order = np.lexsort((np.array([image.id for image in annotations.images])[place], -score))
    return Matches(place[order], (hit & ~passed)[order], ~passed[order], counts)


def _poses(detections: Sequence[Detection]) -> Floats:
    """[D, K, 3]"""
    return np.reshape([detection["keypoints"] for detection in detections], (len(detections), -1, 3))


def _scores(detections: Sequence[Detection]) -> Floats:
    return np.array([detection["score"] for detection in detections], float)


def _pair(
    images: Sequence[_Seen],
    annotations: Annotations,
    areas: Floats,
    ignored: Flags,
) -> _Part:
    """As `_match`, of images with one person and one detection, all at once."""
    people, sigmas = annotations.people, annotations.skeleton.sigmas
    found = [detections[0] for _, detections, _ in images]
    rows = np.array([row for _, _, (row,) in images])
    poses = _poses(found)
    similarity = paired_oks(poses, people.keypoints[rows], areas=areas[rows], sigmas=sigmas)
    hit = similarity[:, None] >= _REACHED
    places = np.array([position for position, _, _ in images])
    return places, _scores(found), poses, hit, hit & ignored[rows, None]


def _similarity(
    poses: Floats,
    annotations: Annotations,
    rows: Ints,
    areas: Floats,
) -> Floats:
    """[D, G]; to people without a keypoint by how far a pose lies outside twice their box."""
    people, sigmas = annotations.people, annotations.skeleton.sigmas
    truth = people.keypoints[rows]
    similarity = oks(poses, truth, areas=areas, sigmas=sigmas)
    for column in np.flatnonzero(~(truth[..., 2] > 0).any(1)):
        corner, size = np.split(people.bbox[rows[column]], 2)
        points = poses[..., :2]
        outside = np.maximum(corner - size - points, 0) + np.maximum(points - corner - 2 * size, 0)
        nowhere = np.zeros((1, *outside.shape[1:]))
        near = keypoint_similarity(outside, nowhere, areas=areas[[column]], sigmas=sigmas)
        similarity[:, column] = near[:, 0].mean(-1)
    return similarity


def _match(similarity: Floats, *, ignored: Flags, crowd: Flags) -> tuple[Flags, Flags]:
    """Whether each detection finds somebody [D, T], and whether that is somebody to be ignored [D, T]."""
    detections, people = similarity.shape
    hit = np.zeros((detections, len(THRESHOLDS)), bool)
    passed = np.zeros_like(hit)
    if not people:
        return hit, passed
    free = np.ones((len(THRESHOLDS), people), bool)
    for number, row in enumerate(similarity):
        reached = free & (row >= _REACHED[:, None])
        counting = reached & ~ignored
        # Whoever counts is found first, whatever the similarity to others; of equals the last.
        choice = np.where(counting.any(1, keepdims=True), counting, reached)
        best = people - 1 - np.argmax(np.where(choice, row, -1.0)[:, ::-1], axis=1)
        hit[number] = reached.any(1)
        passed[number] = hit[number] & ignored[best]
        taken = np.flatnonzero(hit[number] & ~crowd[best])
        free[taken, best[taken]] = False
    return hit, passed
