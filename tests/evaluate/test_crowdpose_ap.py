import numpy as np
import pytest
from evaluation_data import detection, disturb, join, scene

from nas.errors import UserError
from nas.evaluate import crowdpose_ap
from nas.space.skeleton import Skeleton


@pytest.fixture(scope="module")
def skeleton():
    return Skeleton.load("crowdpose14")


def person(rng, *, labelled, shift):
    places = rng.uniform([shift, 0], [shift + 200, 200], (14, 2))
    keypoints = np.column_stack([places, rng.integers(0, 3, 14)])
    keypoints[:2, 2] = 2
    if not labelled:
        keypoints[:, 2] = 0
    return keypoints


def reference_ap(truth, detections, sigmas, images=None):
    """CrowdPose AP in float64 and plain Python, written from the definition of COCO's matching.

    Of each image the 20 best detections, best first, each take the unmatched person of highest OKS at or
    above the threshold; people without keypoints are neither right nor wrong to find. Precision is made
    monotone and read at 101 recalls.
    """
    chosen = [image["id"] for image in truth["images"]] if images is None else images
    found = {image: [row for row in detections if row["image_id"] == image] for image in chosen}
    found = {image: sorted(rows, key=lambda row: -row["score"])[:20] for image, rows in sorted(found.items())}
    people = {image: [row for row in truth["annotations"] if row["image_id"] == image] for image in chosen}
    precisions, recalls = [], []
    for threshold in np.linspace(0.5, 0.95, 10):
        outcome, total = [], 0
        for image, rows in found.items():
            # Labelled people first, as a detection prefers them.
            candidates = sorted(people[image], key=lambda row: row["num_keypoints"] == 0)
            total += sum(row["num_keypoints"] > 0 for row in candidates)
            taken = set()
            for row in rows:
                match = best_match(row, candidates, taken, sigmas, threshold)
                if match is None:
                    outcome.append((row["score"], False))
                    continue
                taken.add(match)
                if candidates[match]["num_keypoints"] > 0:
                    outcome.append((row["score"], True))
        if total == 0:
            continue
        outcome.sort(key=lambda pair: -pair[0])
        hits = np.cumsum([hit for _, hit in outcome]) if outcome else np.zeros(0)
        recall = hits / total
        precision = hits / np.arange(1, len(hits) + 1)
        recalls.append(recall[-1] if len(recall) else 0.0)
        for wanted in np.linspace(0, 1, 101):
            reached = precision[recall >= wanted]
            precisions.append(reached.max() if len(reached) else 0.0)
    return (np.mean(precisions), np.mean(recalls)) if precisions else (-1.0, -1.0)


def best_match(row, candidates, taken, sigmas, threshold):
    best, chosen = min(threshold, 1 - 1e-10), None
    for index, candidate in enumerate(candidates):
        if index in taken:
            continue
        if chosen is not None and candidates[chosen]["num_keypoints"] > 0 and candidate["num_keypoints"] == 0:
            break
        similarity = oks_by_box(row, candidate, sigmas)
        if similarity >= best:
            best, chosen = similarity, index
    return chosen


def oks_by_box(row, candidate, sigmas):
    x, y, width, height = candidate["bbox"]
    area = 0.53 * width * height + np.spacing(1)
    points = np.reshape(row["keypoints"], (-1, 3))
    truth = np.reshape(candidate["keypoints"], (-1, 3))
    terms = []
    for k, sigma in enumerate(sigmas):
        if candidate["num_keypoints"] == 0:
            # Nothing is labelled: distance from the box, doubled about its centre.
            dx = max(0, x - width - points[k, 0]) + max(0, points[k, 0] - (x + 2 * width))
            dy = max(0, y - height - points[k, 1]) + max(0, points[k, 1] - (y + 2 * height))
        elif truth[k, 2] > 0:
            dx, dy = points[k, :2] - truth[k, :2]
        else:
            continue
        terms.append(np.exp(-(dx**2 + dy**2) / (2 * sigma) ** 2 / area / 2))
    return np.mean(terms)


@pytest.mark.parametrize("seed", range(4))
def test_equals_the_independent_reference(skeleton, seed):
    rng = np.random.default_rng(seed)
    scenes = [
        scene(
            [person(rng, labelled=rng.random() > 0.15, shift=40.0 * i) for i in range(rng.integers(0, 9))],
            joints=14,
            crowd_index=float(rng.choice([0.0, 0.1, 0.2, 0.5, 0.8, 1.0])),
            image=image,
        )
        for image in range(1, 13)
    ]
    truth = join(*scenes)
    for row in truth["annotations"]:
        del row["area"]
    detections = disturb(truth, rng, joints=14)
    for index, row in enumerate(detections):
        # Without ties, so that the order of equal scores, which no definition fixes, does not matter.
        row["score"] = float(0.9 * row["score"] + 1e-6 * index)
    expected_ap, expected_ar = reference_ap(truth, detections, skeleton.sigmas)
    for backend in ("faster", "pycocotools"):
        figures = crowdpose_ap(truth, detections, skeleton, backend=backend)
        assert figures["AP"] == pytest.approx(expected_ap, abs=1e-9)
        assert figures["AR"] == pytest.approx(expected_ar, abs=1e-9)
        for level, low, high in (("easy", -1, 0.2), ("medium", 0.2, 0.8), ("hard", 0.8, 2)):
            images = [row["id"] for row in truth["images"] if low <= row["crowdIndex"] < high]
            part, _ = reference_ap(truth, detections, skeleton.sigmas, images)
            assert figures[f"AP_{level}"] == pytest.approx(part, abs=1e-9)


def test_hand_computed(skeleton):
    """One person whose box is 100 x 100; one joint's OKS worked out on paper decides at which thresholds."""
    keypoints = np.zeros((14, 3))
    keypoints[0] = [0, 0, 2]
    truth = scene([keypoints], joints=14, crowd_index=0.1)
    truth["annotations"][0]["bbox"] = [0, 0, 100, 100]
    sigma = skeleton.sigmas[0]
    # exp(-d^2 / (2 * 0.53 * 100^2 * (2 sigma)^2)) = 0.72: right at .50 .55 .60 .65 .70 and wrong above.
    distance = np.sqrt(-np.log(0.72) * 2 * 5300) * 2 * sigma
    points = np.zeros((14, 2))
    points[0, 0] = distance
    row = detection(1, 1, points, np.random.default_rng(0))
    figures = crowdpose_ap(truth, [row], skeleton)
    assert figures["AP"] == pytest.approx(0.5)
    assert figures["AP50"] == pytest.approx(1)
    assert figures["AP75"] == 0
    assert figures["AP_easy"] == pytest.approx(0.5)
    assert figures["AP_medium"] == figures["AP_hard"] == -1


def test_images_without_crowd_index_are_refused(skeleton):
    with pytest.raises(UserError, match="image 1 has no crowdIndex"):
        crowdpose_ap(scene([], joints=14), [], skeleton)
