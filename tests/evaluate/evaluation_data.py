"""Detections for the evaluator's tests, made by disturbing annotations."""

from typing import Any

import numpy as np


def disturb(truth: dict[str, Any], rng: np.random.Generator, *, joints: int) -> list[dict[str, Any]]:
    """Detections of all qualities: close, far, doubled, of nobody; a third of the scores are ties."""
    detections = []
    for row in truth["annotations"]:
        keypoints = np.array(row.get("keypoints") or [0.0] * (3 * joints), float).reshape(-1, 3)
        x, y, width, height = row["bbox"]
        unlabelled = keypoints[:, 2] == 0
        keypoints[unlabelled, :2] = rng.uniform(
            [x, y], [x + width + 1, y + height + 1], (unlabelled.sum(), 2)
        )
        for _ in range(rng.choice([0, 1, 1, 2, 4])):
            noise = rng.choice([0.0, 0.01, 0.03, 0.1, 0.5]) * np.sqrt(width * height + 1)
            moved = keypoints[:, :2] + rng.normal(0, noise + 1e-9, (joints, 2))
            detections.append(detection(row["image_id"], row["category_id"], moved, rng))
    for image in truth["images"]:
        for _ in range(rng.choice([0, 0, 0, 1, 3])):
            place = rng.uniform(0, [image["width"], image["height"]], (joints, 2))
            detections.append(detection(image["id"], truth["categories"][0]["id"], place, rng))
    rng.shuffle(detections)
    return detections


def detection(image: int, category: int, points: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    score = rng.choice([rng.random(), rng.random(), rng.integers(0, 5) / 4])
    keypoints = np.column_stack([points, np.full(len(points), score)])
    return {
        "image_id": int(image),
        "category_id": int(category),
        "keypoints": keypoints.ravel().tolist(),
        "score": float(score),
    }


def scene(
    people: list[np.ndarray], *, joints: int, crowd_index: float | None = None, image: int = 1
) -> dict[str, Any]:
    """A COCO dictionary of one image with these people [K, 3], each in the box of its keypoints."""
    annotations = []
    for number, keypoints in enumerate(people):
        low, high = keypoints[:, :2].min(0), keypoints[:, :2].max(0)
        width, height = (high - low).tolist()
        annotations.append(
            {
                "id": 100 * image + number,
                "image_id": image,
                "category_id": 1,
                "keypoints": keypoints.ravel().tolist(),
                "num_keypoints": int((keypoints[:, 2] > 0).sum()),
                "bbox": [*low.tolist(), width, height],
                "area": width * height,
                "iscrowd": 0,
            }
        )
    record: dict[str, Any] = {"id": image, "file_name": f"{image}.jpg", "width": 640, "height": 480}
    if crowd_index is not None:
        record["crowdIndex"] = crowd_index
    categories = [{"id": 1, "name": "person", "keypoints": [str(k) for k in range(joints)], "skeleton": []}]
    return {"images": [record], "annotations": annotations, "categories": categories}


def join(*scenes: dict[str, Any]) -> dict[str, Any]:
    return {
        "images": [image for part in scenes for image in part["images"]],
        "annotations": [row for part in scenes for row in part["annotations"]],
        "categories": scenes[0]["categories"],
    }
