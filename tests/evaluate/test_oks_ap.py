import contextlib
import copy
import io
import json

import numpy as np
import pytest
from evaluation_data import detection, disturb, scene
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from nas.errors import UserError
from nas.evaluate import ap_by_size, oks, oks_ap
from nas.space.skeleton import Skeleton

NAMES = ["AP", "AP50", "AP75", "AP_medium", "AP_large", "AR", "AR50", "AR75", "AR_medium", "AR_large"]


@pytest.fixture(scope="module")
def skeleton():
    return Skeleton.load("coco17")


def pycocotools_figures(truth, detections, sigmas=None):
    """What pycocotools itself prints, used the way its documentation says."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = copy.deepcopy(truth)
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(copy.deepcopy(detections)), "keypoints")
        if sigmas is not None:
            evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(NAMES, evaluation.stats, strict=True))


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_figures_are_pycocotools(shared_data, skeleton, seed):
    path = shared_data / "coco_val2017_annotations" / "person_keypoints_val2017_subset.json"
    truth = json.loads(path.read_text())
    rng = np.random.default_rng(seed)
    detections = disturb(truth, rng, joints=17)
    silent = {image["id"] for image in truth["images"][::7]}
    detections = [row for row in detections if row["image_id"] not in silent]
    assert len(detections) > 3000
    assert any(row["iscrowd"] for row in truth["annotations"])
    assert len({row["score"] for row in detections}) < len(detections) - 500
    before = copy.deepcopy((truth["annotations"][:50], detections[:50]))
    expected = pycocotools_figures(truth, detections)
    assert 0.1 < expected["AP"] < 0.9
    for backend in ("faster", "pycocotools"):
        figures = oks_ap(truth, detections, skeleton, backend=backend)
        assert list(figures) == NAMES
        for name in NAMES:
            assert figures[name] == pytest.approx(expected[name], abs=1e-9), name
    assert before == (truth["annotations"][:50], detections[:50])


def test_own_skeleton_and_images_without_people():
    skeleton = Skeleton("stick", ("top", "middle", "end"), (), (0.05, 0.1, 0.2))
    rng = np.random.default_rng(2)
    people = [np.column_stack([rng.uniform(0, 400, (3, 2)), [2, 1, 2]]) for _ in range(12)]
    truth = scene(people, joints=3)
    truth["images"] += [{**truth["images"][0], "id": 2}, {**truth["images"][0], "id": 3}]
    detections = disturb(truth, rng, joints=3)
    expected = pycocotools_figures(truth, detections, skeleton.sigmas)
    assert oks_ap(truth, detections, skeleton) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("backend", ["faster", "pycocotools"])
def test_no_detections_and_nobody_to_find(skeleton, backend):
    person = np.column_stack([np.arange(34).reshape(17, 2) * 10.0, np.full(17, 2)])
    figures = oks_ap(scene([person], joints=17), [], skeleton, backend=backend)
    assert figures["AP"] == figures["AR"] == 0
    empty = scene([], joints=17)
    found = [detection(1, 1, person[:, :2], np.random.default_rng(0))]
    for detections in ([], found):
        assert set(oks_ap(empty, detections, skeleton, backend=backend).values()) == {-1.0}


def test_hand_computed_precision(skeleton):
    """Of two people one is found, by the second-best detection: precision 1/2 up to recall 1/2."""
    rng = np.random.default_rng(3)
    people = [np.column_stack([rng.uniform(0, 200, (17, 2)) + 300 * i, np.full(17, 2)]) for i in range(2)]
    rows = [(people[0][:, :2] + 2000, 0.9), (people[1][:, :2], 0.5)]
    detections = [{**detection(1, 1, points, rng), "score": score} for points, score in rows]
    figures = oks_ap(scene(people, joints=17), detections, skeleton)
    assert figures["AP"] == pytest.approx(51 / 101 * 0.5)
    assert figures["AR"] == pytest.approx(0.5)


def test_by_size(skeleton):
    rng = np.random.default_rng(4)
    small, large = (
        np.column_stack([rng.uniform(0, side, (17, 2)) + start, np.full(17, 2)])
        for side, start in ((20, 10), (300, 100))
    )
    truth = scene([small, large], joints=17)
    figures = ap_by_size(truth, [detection(1, 1, large[:, :2], rng)], skeleton)
    assert figures["AP_small"] == 0
    assert figures["AP_large"] == pytest.approx(1)
    assert figures["AP_medium"] == -1
    assert [figures[f"people_{size}"] for size in ("small", "medium", "large")] == [1, 0, 1]
    whole = ap_by_size(truth, [detection(1, 1, large[:, :2], rng)], skeleton, sizes={"any": (0, 1e10)})
    assert whole["AP_any"] == pytest.approx(51 / 101)


def test_oks_equals_the_formula(skeleton):
    rng = np.random.default_rng(5)
    truth = np.concatenate([rng.uniform(0, 90, (3, 17, 2)), rng.integers(0, 3, (3, 17, 1))], axis=-1)
    found = truth[:2] + rng.normal(0, 3, (2, 17, 3))
    areas = np.array([900.0, 2500.0, 400.0])
    result = oks(found, truth, areas=areas, sigmas=skeleton.sigmas)
    for d in range(2):
        for g in range(3):
            terms = [
                np.exp(-((found[d, k, :2] - truth[g, k, :2]) ** 2).sum() / (2 * areas[g] * (2 * sigma) ** 2))
                for k, sigma in enumerate(skeleton.sigmas)
                if truth[g, k, 2] > 0
            ]
            assert result[d, g] == pytest.approx(np.mean(terms), abs=1e-12)


def test_detections_that_do_not_fit_are_refused(skeleton):
    person = np.column_stack([np.arange(34).reshape(17, 2) * 10.0, np.full(17, 2)])
    truth = scene([person], joints=17)
    good = detection(1, 1, person[:, :2], np.random.default_rng(0))
    with pytest.raises(UserError, match="names image 9, which is not annotated"):
        oks_ap(truth, [{**good, "image_id": 9}], skeleton)
    with pytest.raises(UserError, match="has 42 numbers, skeleton 'coco17' needs 51"):
        oks_ap(truth, [{**good, "keypoints": good["keypoints"][:42]}], skeleton)
