"""What a finished network does with people: how many it lets one draw, and a sheet of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from nas.arrays import Floats, Pixels
from nas.codecs import Poses
from nas.data import Annotations
from nas.data.images import read_annotated
from nas.evaluate import Detection, oks
from nas.evenly import evenly
from nas.files import write_bytes
from nas.report import contact_sheet
from nas.runtime import draw_poses
from nas.runtime.poses import MIN_KEYPOINT, MIN_POSE

_CELLS = 24
_COLUMNS = 6
_CELL = (224, 168)
_MARGIN = 0.25
_TRUTH = 190
"""The grey of the true pose where no photograph is shown."""
_MATCH = 0.5
"""OKS from which on a pose counts as that of the person."""


@dataclass(frozen=True)
class DrawnCount:
    """How many of the people whom a network finds `nas predict` draws, unless told otherwise.

    Args:
        matched: people whose pose matches the truth, at OKS 0.5 or better.
        drawn: those of them whose pose, and half of its keypoints, are sure enough to be drawn.
    """

    matched: int
    drawn: int


def write_sheet(
    path: Path, detections: Sequence[Detection], annotations: Annotations, *, photographs: bool = True
) -> None:
    """Draw people with the poses that a network on crops found, from the best to the worst answer.

    Drawn is what `nas predict` draws, unless told otherwise; without `photographs`, which may not be yours to
    pass on, on white, the truth in grey below. People are taken evenly from the whole range of OKS, so that
    the sheet flatters nobody.
    """
    people = annotations.people
    rows = np.flatnonzero(people.labelled)
    similarity = _similarities(detections, annotations)
    order = np.argsort(-similarity)
    chosen = order[evenly(len(order), _CELLS)]
    images = [
        _draw_person(annotations, int(rows[index]), detections[index], photograph=photographs)
        for index in chosen
    ]
    captions = [f"OKS {similarity[index]:.2f}" for index in chosen]
    sheet = contact_sheet(images, columns=_COLUMNS, cell=_CELL, captions=captions)
    _, encoded = cv2.imencode(path.suffix, sheet[..., ::-1])
    write_bytes(path, encoded.tobytes())


def count_drawn(detections: Sequence[Detection], annotations: Annotations) -> DrawnCount:
    """Of the answers of a network on crops: how many match, and of these how many are drawn."""
    matches = _similarities(detections, annotations) >= _MATCH
    sure = np.array(
        [
            detection["score"] >= MIN_POSE and (_keypoints(detection)[:, 2] >= MIN_KEYPOINT).mean() >= 0.5
            for detection in detections
        ]
    )
    return DrawnCount(matched=int(matches.sum()), drawn=int((matches & sure).sum()))


def _similarities(detections: Sequence[Detection], annotations: Annotations) -> Floats:
    """OKS [N] of each labelled person's own answer; a network on crops answers each person once, in order."""
    people, sigmas = annotations.people, annotations.skeleton.sigmas
    rows = np.flatnonzero(people.labelled)
    return np.array(
        [
            oks(
                _keypoints(detection)[None],
                people.keypoints[row][None],
                areas=people.areas[row][None],
                sigmas=sigmas,
            )[0, 0]
            for row, detection in zip(rows, detections, strict=True)
        ]
    )


def _draw_person(annotations: Annotations, row: int, detection: Detection, *, photograph: bool) -> Pixels:
    """The surroundings of a person, or white with the true pose, and the pose found in them."""
    position = int(annotations.people.image[row])
    image = (
        read_annotated(annotations, position)
        if photograph
        else np.full((*annotations.images[position].size, 3), 255, np.uint8)
    )
    x0, y0, x1, y1 = annotations.people.boxes[row]
    margin = _MARGIN * max(x1 - x0, y1 - y0)
    left, top = max(0, int(x0 - margin)), max(0, int(y0 - margin))
    right, bottom = int(x1 + margin) + 1, int(y1 + margin) + 1
    cut = np.ascontiguousarray(image[top:bottom, left:right])
    # Enlarged before drawing, so that thin lines stay thin.
    scale = max(1.0, _CELL[0] / cut.shape[0])
    size = (round(cut.shape[1] * scale), round(cut.shape[0] * scale))
    enlarged = np.asarray(cv2.resize(cut, size, interpolation=cv2.INTER_LINEAR), np.uint8)

    def posed(keypoints: Floats, score: float) -> Poses:
        """In the pixels of what is drawn."""
        moved = keypoints.astype(np.float64)
        moved[:, 0] = (moved[:, 0] - left + 0.5) * size[0] / cut.shape[1] - 0.5
        moved[:, 1] = (moved[:, 1] - top + 0.5) * size[1] / cut.shape[0] - 0.5
        return Poses(moved[None], np.array([score]))

    if not photograph:
        true = draw_poses(enlarged, posed(annotations.people.keypoints[row], 1.0), annotations.skeleton)
        grey = cv2.cvtColor(true, cv2.COLOR_RGB2GRAY)[..., None]
        enlarged = np.repeat(np.where(grey < 255, _TRUTH, 255), 3, axis=2).astype(np.uint8)
    found = posed(_keypoints(detection), detection["score"])
    return draw_poses(enlarged, found, annotations.skeleton, min_pose=MIN_POSE, min_keypoint=MIN_KEYPOINT)


def _keypoints(detection: Detection) -> Floats:
    return np.reshape(np.asarray(detection["keypoints"], np.float64), (-1, 3))
