"""People for the codecs' tests."""

import numpy as np

from nas.codecs.types import People


def make_people(keypoints: np.ndarray) -> People:
    """People [P, K, 3] with the boxes and areas that their joints span."""
    keypoints = np.asarray(keypoints, np.float64)
    low, high = keypoints[..., :2].min(1), keypoints[..., :2].max(1)
    return People(keypoints, (high - low).prod(1), np.concatenate([low, high], 1))


def random_people(
    rng: np.random.Generator, *, count: int, joints: int, size: tuple[int, int], margin: float = 20
) -> People:
    """People anywhere in and a little around an input (h, w), a third of their joints unlabelled."""
    height, width = size
    keypoints = rng.uniform([-margin, -margin, 0], [width + margin, height + margin, 3], (count, joints, 3))
    keypoints[..., 2] = np.floor(keypoints[..., 2])
    return make_people(keypoints)


def flip_people(people: People, width: int, flip_index: tuple[int, ...]) -> People:
    """The people of the mirrored input."""
    keypoints = people.keypoints[:, list(flip_index)].copy()
    keypoints[..., 0] = width - 1 - keypoints[..., 0]
    boxes = people.boxes.copy()
    boxes[:, [0, 2]] = width - 1 - boxes[:, [2, 0]]
    return People(keypoints, people.areas, boxes, None if people.mask is None else people.mask[:, ::-1])


def inside(keypoints: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """[...] True where a keypoint [..., 3] is labelled and lies well within the input (h, w)."""
    x, y, v = np.moveaxis(keypoints, -1, 0)
    height, width = size
    return (v > 0) & (x > -0.5) & (y > -0.5) & (x < width - 0.5) & (y < height - 0.5)
