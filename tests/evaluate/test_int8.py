"""How far one model moves the keypoints of another, and how many layers stay in fp32 for it."""

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest

from nas.coco import AREA_OF_BOX
from nas.codecs import Poses
from nas.evaluate.int8 import pose_shift
from nas.evaluate.int8_export import fewest


def model(*images: list[list[list[float]]]):
    """A model that finds given poses, image by image; an input's pixels name the image."""

    def group(candidates):
        keypoints = np.array(images[candidates["image"]], float).reshape(-1, 2, 3)
        return Poses(keypoints, np.ones(len(keypoints)))

    return SimpleNamespace(
        task="crop",
        resolution=(100, 100),
        padding=1.25,
        skeleton=SimpleNamespace(sigmas=(0.1, 0.1)),
        codec=SimpleNamespace(group=group),
        candidates=lambda batch: [{"image": int(batch[0, 0, 0, 0])}],
    )


INPUTS = [np.full((2, 2, 3), image, np.uint8) for image in range(2)]


def test_shift_is_weighted_by_score_and_taken_to_the_nearest_pose() -> None:
    reference = model([[[0, 0, 0.75], [10, 0, 0.25]]], [])
    other = model([[[90, 0, 1], [99, 0, 1]], [[3, 4, 1], [10, 1, 1]]], [])
    shift = pose_shift(reference, other, INPUTS)
    assert shift.mean_px == pytest.approx(0.75 * 5 + 0.25 * 1)
    assert shift.median_px == 5
    assert (shift.images, shift.poses, shift.missing) == (2, 1, 0)
    area = AREA_OF_BOX * 100 * 100 / 1.25**2
    near = [np.exp(-(distance**2) / (2 * 0.1) ** 2 / area / 2) for distance in (5, 1)]
    assert shift.similarity == pytest.approx(0.75 * near[0] + 0.25 * near[1])


def test_poses_that_are_not_found_any_more_are_counted() -> None:
    pose = [[0.0, 0.0, 1.0], [1.0, 0.0, 1.0]]
    shift = pose_shift(model([pose, pose], [pose]), model([], [pose]), INPUTS)
    assert (shift.poses, shift.missing, shift.mean_px) == (3, 2, 0)
    assert shift.similarity == pytest.approx(1 / 3)


def test_nobody_to_find_is_no_difference() -> None:
    assert pose_shift(model([], []), model([], []), INPUTS).similarity == 1


@pytest.mark.parametrize("needed", range(1, 12))
def test_the_fewest_layers_are_found_in_few_tries(needed: int) -> None:
    order = list(range(11))
    tried: list[int] = []

    def enough(layers: Sequence[int]) -> bool:
        assert list(layers) == order[: len(layers)]
        tried.append(len(layers))
        return len(layers) >= needed

    assert fewest(order, enough) == order[:needed]
    assert len(tried) <= 8
    assert fewest([7], lambda layers: False) == [7]
