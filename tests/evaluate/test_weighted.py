"""Metrics for weighted images are those of sets that hold the images so many times."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluation_data import disturb

from nas.data import Annotations, load_annotations
from nas.evaluate import metric_names, score
from nas.evaluate.validate import NOBODY, ModelAnswers
from nas.evaluate.weighted import bootstrap_weights, weighted_metric
from nas.space.skeleton import Skeleton

SKELETON = Skeleton.load("coco17")


@pytest.fixture(scope="module")
def annotations(shared_data: Path) -> Annotations:
    """Sixty images of COCO, crowds and people without keypoints among them, with made-up crowd indices."""
    file = shared_data / "coco_val2017_annotations" / "person_keypoints_val2017_subset.json"
    loaded = load_annotations(file, None, SKELETON)
    crowds = sorted({int(image) for image in loaded.people.image[loaded.people.crowd]})[:5]
    some = loaded.select(loaded.images[place].id for place in {*range(55), *crowds})
    indices = np.random.default_rng(0).random(len(some.images))
    images = tuple(
        replace(image, crowd_index=float(index)) for image, index in zip(some.images, indices, strict=True)
    )
    assert some.people.crowd.any()
    assert (some.people.num_keypoints == 0).any()
    return replace(some, images=images)


@pytest.fixture(scope="module")
def found(annotations: Annotations) -> ModelAnswers:
    return ModelAnswers(disturb(annotations.to_coco(), np.random.default_rng(3), joints=17), None)


def figures_of(found: ModelAnswers, annotations: Annotations, weights: np.ndarray) -> dict[str, float]:
    names = metric_names(SKELETON, crowd_index=True)
    return {
        name: float(weighted_metric(name, found, annotations)(weights[None].astype(float))[0])
        for name in names
    }


def known(found: ModelAnswers, annotations: Annotations) -> dict[str, float]:
    figures = score(found.detections, annotations).figures
    return {name: figures[name] for name in metric_names(SKELETON, crowd_index=True)}


def test_every_metric_of_the_whole_set_is_the_evaluations(
    annotations: Annotations, found: ModelAnswers
) -> None:
    expected = known(found, annotations)
    assert 0.1 < expected["AP"] < 0.9
    assert len({round(value, 6) for value in expected.values()}) > 20
    ones = np.ones(len(annotations.images))
    assert figures_of(found, annotations, ones) == pytest.approx(expected, abs=1e-9)


def test_weights_of_nought_leave_images_out(annotations: Annotations, found: ModelAnswers) -> None:
    kept = np.arange(len(annotations.images)) % 3 == 0
    ids = {image.id for image, keep in zip(annotations.images, kept, strict=True) if keep}
    detections = [row for row in found.detections if row["image_id"] in ids]
    expected = known(ModelAnswers(detections, None), annotations.select(ids))
    assert figures_of(found, annotations, kept) == pytest.approx(expected, abs=1e-9)


def test_a_weight_stands_for_so_many_equal_images(
    annotations: Annotations, found: ModelAnswers, tmp_path: Path
) -> None:
    weights = np.random.default_rng(5).integers(0, 4, len(annotations.images))
    # Scores are told apart: among equal ones the order of the images decides.
    scored = [{**row, "score": number / 1e4} for number, row in enumerate(found.detections)]
    content = annotations.to_coco()
    content["categories"][0]["skeleton"] = []
    images, people, detections = [], [], []
    for image, weight in zip(content["images"], weights.tolist(), strict=True):
        for copy in range(weight):
            new = 1000 * (len(images) + 1)
            images.append({**image, "id": new, "file_name": f"{copy}-{image['file_name']}"})
            for row in content["annotations"]:
                if row["image_id"] == image["id"]:
                    people.append({**row, "id": len(people) + 1, "image_id": new})
            detections += [{**row, "image_id": new} for row in scored if row["image_id"] == image["id"]]
    file = tmp_path / "many.json"
    file.write_text(json.dumps({**content, "images": images, "annotations": people}))
    expected = known(ModelAnswers(detections, None), load_annotations(file, None, SKELETON))
    assert figures_of(ModelAnswers(scored, None), annotations, weights) == pytest.approx(expected, abs=1e-9)


def test_answers_to_crops_are_scored_person_by_person(annotations: Annotations) -> None:
    people = annotations.people
    noise = np.random.default_rng(1).normal(0, 8, (*people.keypoints.shape[:2], 2))
    answers = people.keypoints.astype(float).copy()
    answers[..., :2] += noise
    answers[::5] = np.nan
    expected = score([], annotations, answers=answers).figures["PCK_torso@0.2"]
    metric = weighted_metric("PCK_torso@0.2", ModelAnswers([], answers), annotations)
    assert metric(np.ones((1, len(annotations.images))))[0] == pytest.approx(expected)
    assert metric(np.zeros((1, len(annotations.images))))[0] == NOBODY


def test_nobody_found_is_nought_and_nobody_there_is_nobody(annotations: Annotations) -> None:
    ap = weighted_metric("AP", ModelAnswers([], None), annotations)
    weights = np.stack([np.ones(len(annotations.images)), np.zeros(len(annotations.images))])
    assert ap(weights).tolist() == [0.0, NOBODY]
    with pytest.raises(ValueError, match="none of the metrics"):
        weighted_metric("loss", ModelAnswers([], None), annotations)


def test_draws_are_the_same_for_every_network() -> None:
    draws = bootstrap_weights(50, draws=20)
    assert np.array_equal(draws, bootstrap_weights(50, draws=20))
    assert draws.sum(axis=1).tolist() == [50.0] * 20
    assert draws.max() > 1
    assert not np.array_equal(draws, bootstrap_weights(50, draws=20, seed=1))
