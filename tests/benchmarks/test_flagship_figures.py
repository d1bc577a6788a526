"""Figures of trained networks: limb joints of people, and what a paired bootstrap says of differences."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.flagship.figures import (
    LIMBS,
    bounds,
    drawn_weights,
    limb_counts,
    metrics_of,
    verdict,
)
from nas.coco import PersonTable
from nas.data import Annotations, ImageRecord
from nas.evaluate.validate import score
from nas.space import Skeleton

SKELETON = Skeleton.load("coco17")
TORSO = 100.0


def annotated(people: int) -> Annotations:
    """One person on each picture, all joints labelled, the torso 100 px long."""
    rng = np.random.default_rng(0)
    xy = rng.uniform(100, 300, (people, len(SKELETON.keypoints), 2))
    start, end = (SKELETON.index(name) for name in ("left_shoulder", "right_hip"))
    xy[:, end] = xy[:, start] + [0.6 * TORSO, 0.8 * TORSO]
    return Annotations(
        path=Path("people.json"),
        folder=None,
        skeleton=SKELETON,
        images=tuple(ImageRecord(10 + number, f"{number}.jpg", (400, 400)) for number in range(people)),
        people=PersonTable(
            ids=np.arange(1, people + 1),
            image=np.arange(people),
            keypoints=np.concatenate([xy, np.full((*xy.shape[:2], 1), 2.0)], axis=-1),
            bbox=np.tile([90.0, 90.0, 220.0, 220.0], (people, 1)),
            areas=np.full(people, 20000.0),
            crowd=np.zeros(people, bool),
            num_keypoints=np.full(people, xy.shape[1]),
            segmentations=(None,) * people,
        ),
    )


def found(annotations: Annotations, away: dict[tuple[int, str], float]) -> list[dict[str, Any]]:
    """A pose of every person, right but for joints that are so many torsos off."""
    keypoints = annotations.people.keypoints.copy()
    keypoints[..., 2] = 0.9
    for (person, joint), share in away.items():
        keypoints[person, SKELETON.index(joint), 0] += share * TORSO
    return [
        {
            "image_id": image.id,
            "category_id": 1,
            "keypoints": keypoints[number].ravel().tolist(),
            "score": 0.9 - number / 100,
        }
        for number, image in enumerate(annotations.images)
    ]


def test_twelve_limb_joints_are_counted_and_no_others() -> None:
    assert len(set(LIMBS)) == 12
    annotations = annotated(3)
    away = {(0, "left_wrist"): 0.15, (1, "left_knee"): 0.25, (1, "right_ankle"): 5.0, (2, "nose"): 9.0}
    right, counted = limb_counts(found(annotations, away), annotations)
    assert counted.tolist() == [12, 12, 12]
    assert right[0.2].tolist() == [12, 10, 12]
    assert right[0.1].tolist() == [11, 10, 12]
    weights = np.array([[1.0, 1.0, 1.0], [0.0, 2.0, 1.0], [0.0, 0.0, 0.0]])
    metrics = metrics_of(found(annotations, away), annotations, weights)
    assert metrics["PCK@0.2"][:2] == pytest.approx([34 / 36, 32 / 36])
    assert metrics["PCK@0.1"][:2] == pytest.approx([33 / 36, 32 / 36])
    assert np.isnan([metrics[name][2] for name in metrics]).all()


def test_unlabelled_joints_and_people_without_a_torso_do_not_count() -> None:
    annotations = annotated(2)
    keypoints = annotations.people.keypoints.copy()
    keypoints[0, SKELETON.index("left_wrist"), 2] = 0
    keypoints[1, SKELETON.index("right_hip"), 2] = 0
    blind = replace(annotations, people=replace(annotations.people, keypoints=keypoints))
    right, counted = limb_counts(found(annotations, {}), blind)
    assert counted.tolist() == right[0.2].tolist() == [11, 0]


def test_the_first_draw_is_the_set_as_it_is() -> None:
    annotations = annotated(6)
    detections = found(annotations, {(0, "left_hip"): 0.4, (3, "right_elbow"): 3.0, (4, "left_knee"): 8.0})
    weights = drawn_weights(6, draws=50)
    assert weights.shape == (51, 6)
    assert (weights.sum(1) == 6).all()
    metrics = metrics_of(detections, annotations, weights)
    assert metrics["AP"][0] == pytest.approx(score(detections, annotations)["AP"], abs=1e-9)
    assert all(values.shape == (51,) for values in metrics.values())


def test_an_interval_of_one_training_is_that_of_people() -> None:
    draws = np.concatenate([[0.4], np.linspace(0.3, 0.5, 1001)])
    known = bounds([draws])
    assert (known.value, known.low, known.high) == pytest.approx((0.4, 0.305, 0.495))


def test_a_difference_is_paired() -> None:
    rng = np.random.default_rng(0)
    one = rng.normal(0.4, 0.05, 2001)
    same = bounds([one], less=[one])
    assert (same.value, same.low, same.high) == (0, 0, 0)
    ahead = bounds([one + 0.01], less=[one])
    assert (ahead.value, ahead.low, ahead.high) == pytest.approx((0.01, 0.01, 0.01))
    alone = bounds([one + 0.01], less=[rng.permutation(one)])
    assert alone.low < 0 < alone.high


def test_seeds_are_drawn_too() -> None:
    low, high, other = (np.full(2001, value) for value in (0.40, 0.44, 0.41))
    both = bounds([low, high])
    assert (both.value, both.low, both.high) == pytest.approx((0.42, 0.40, 0.44))
    difference = bounds([low, high], less=[other])
    assert (difference.value, difference.low, difference.high) == pytest.approx((0.01, -0.01, 0.03))


def test_what_nobody_is_left_for_is_not_known() -> None:
    nothing = bounds([np.array([0.3, np.nan, np.nan])]).to_json()
    assert nothing == {"value": 0.3, "low": None, "high": None}
    assert verdict(nothing) == "not known"


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.001, 0.02, "ahead"), (-0.02, -0.001, "behind"), (-0.01, 0.02, "no difference that can be told")],
)
def test_a_difference_in_words(low: float, high: float, said: str) -> None:
    assert verdict({"value": (low + high) / 2, "low": low, "high": high}) == said
