"""Helpers of the data tests: annotations, images with dots, and finding dots again."""

from typing import Any

import numpy as np

JOINTS = ("nose", "left_hand", "right_hand", "left_foot", "right_foot", "left_knee", "right_knee")
PAIRS = (("left_hand", "right_hand"), ("left_foot", "right_foot"), ("left_knee", "right_knee"))


def person(id_: int, image: int, keypoints: np.ndarray, **changes: Any) -> dict[str, Any]:
    """An annotation of keypoints [K, 3]; its box is their extent and 5 px more."""
    seen = keypoints[keypoints[:, 2] > 0] if (keypoints[:, 2] > 0).any() else np.array([[20.0, 20.0, 0]])
    low, high = seen[:, :2].min(0) - 5, seen[:, :2].max(0) + 5
    return {
        "id": id_,
        "image_id": image,
        "category_id": 1,
        "keypoints": keypoints.ravel().tolist(),
        "num_keypoints": int((keypoints[:, 2] > 0).sum()),
        "bbox": [*low.tolist(), *(high - low).tolist()],
        "area": float(np.prod(high - low)),
        "iscrowd": 0,
    } | changes


def scattered(rng: np.random.Generator, count: int) -> np.ndarray:
    """Points [count, 2] in 30..90 x 25..65, at least 12 px apart."""
    points: list[np.ndarray] = []
    while len(points) < count:
        point = rng.uniform([25, 20], [95, 70])
        if all(np.hypot(*(point - other)) > 15 for other in points):
            points.append(point)
    return np.array(points)


def dots(keypoints: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A black image with a white blurred dot (sigma 2 px) at each keypoint, exact below the pixel."""
    y, x = np.mgrid[: size[0], : size[1]]
    image = np.zeros(size)
    for px, py, _ in keypoints:
        image = np.maximum(image, np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 2.0**2)))
    return np.repeat(np.rint(255 * image).astype(np.uint8)[..., None], 3, axis=2)


def centre_near(image: np.ndarray, point: np.ndarray, reach: int) -> np.ndarray:
    """The brightness-weighted centre (x, y) of an image [H, W, 3] within `reach` px of a point."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    weight = image[..., 0].astype(float) * (np.hypot(x - point[0], y - point[1]) <= reach)
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()
