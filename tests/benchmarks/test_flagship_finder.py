"""How many people boxes around poses find."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.flagship.finder import people_found, recall, told
from nas.data import Annotations, load_annotations
from nas.runtime.detector import FoundBoxes
from nas.runtime.frames import ColourFrame
from nas.space import Skeleton

SQUARE = np.array([[0.0, 0.0, 10.0, 10.0]])


def test_a_box_finds_one_person_and_boxes_are_dealt_out_well() -> None:
    twins = np.array([[0.0, 0, 10, 10], [0, 0, 10, 11]])
    assert people_found(SQUARE, twins).sum() == 1
    assert people_found(np.concatenate([SQUARE, SQUARE]), SQUARE).tolist() == [True]
    # The first box fits both people, the second one only the first person.
    people = np.array([[0.0, 0, 10, 10], [3, 0, 13, 10]])
    boxes = np.array([[2.0, 0, 12, 10], [-3, 0, 7, 10]])
    assert people_found(boxes, people).tolist() == [True, True]
    assert people_found(np.zeros((0, 4)), people).tolist() == [False, False]


class Knowing:
    """Answers frames in turn."""

    def __init__(self, answers: Sequence[np.ndarray]) -> None:
        self._answers = iter(answers)

    def __call__(self, frames: Sequence[ColourFrame]) -> list[FoundBoxes]:
        (frame,) = frames
        assert frame.size == (40, 40)
        boxes = next(self._answers)
        return [FoundBoxes(boxes, np.ones(len(boxes)))]


@pytest.fixture
def annotations(tiny_files: Path) -> Annotations:
    """Four pictures; the last one's person is a crowd, the third's has no keypoints and is small."""
    known = load_annotations(
        tiny_files / "people.json", tiny_files / "images", Skeleton.load("coco17")
    ).first(4)
    people = known.people
    bbox = people.bbox.copy()
    bbox[2] = [4, 4, 8, 8]
    changed = replace(
        people,
        bbox=bbox,
        crowd=np.array([False, False, False, True]),
        num_keypoints=np.array([17, 17, 0, 0]),
    )
    return replace(known, people=changed)


def test_recall_is_of_people_not_of_crowds(annotations: Annotations) -> None:
    boxes = annotations.people.boxes
    nowhere = np.array([[30.0, 30, 39, 39]])
    answers = [boxes[[0]], nowhere, np.concatenate([boxes[[2]], nowhere]), nowhere]
    figures = recall(Knowing(answers), annotations)
    assert (figures["images"], figures["boxes"]) == (4, 5)
    assert (figures["all"]["people"], figures["all"]["value"]) == (3, pytest.approx(2 / 3))
    assert (figures["labelled"]["people"], figures["labelled"]["value"]) == (2, 0.5)
    assert (figures["tall"]["people"], figures["tall"]["value"]) == (2, 0.5)
    assert figures["precision"]["value"] == pytest.approx(2 / 5)
    assert 0 <= figures["all"]["low"] < 2 / 3 < figures["all"]["high"] <= 1
    lines = told(figures)
    assert lines[0] == "5 boxes in 4 images"
    assert lines[1].startswith("recall of 3 people, all: 0.667 [0.")


def test_nobody_found_is_a_recall_of_nought(annotations: Annotations) -> None:
    figures = recall(Knowing([np.zeros((0, 4))] * 4), annotations)
    assert (figures["all"]["value"], figures["all"]["high"]) == (0, 0)
    assert figures["precision"] == {"value": None, "low": None, "high": None}
    assert told(figures)[-1] == "precision: nobody to measure it on"
