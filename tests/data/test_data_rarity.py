"""Rare poses: density against loops, what does not change it, and how often samples come."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dotted_people import person

from nas.data import Annotations, DataConfig, KeypointDataset, load_annotations
from nas.data.rarity import (
    COMMON_JOINTS,
    MOST,
    NEAREST,
    normalised_poses,
    pose_density,
    rare_pose_shares,
)
from nas.space.skeleton import PckSegments, Skeleton

SIX = Skeleton(
    name="six",
    keypoints=("head", "left_shoulder", "right_shoulder", "left_hip", "right_hip", "left_foot"),
    flip_pairs=(("left_shoulder", "right_shoulder"), ("left_hip", "right_hip")),
    sigmas=(0.1,) * 6,
    pck=PckSegments(torso=("left_shoulder", "right_hip")),
)
FLIP = np.array(SIX.flip_index)
UPRIGHT = np.array([[0.0, -30], [12, -20], [-12, -20], [8, 20], [-8, 20], [10, 60]])


def people(rng: np.random.Generator, count: int, *, noise: float = 3.0, hidden: float = 0.0) -> Any:
    """Poses [count, 6, 3] about the upright one, and their boxes [count, 4]."""
    points = UPRIGHT + rng.normal(0, noise, (count, 6, 2)) + rng.uniform(-500, 500, (count, 1, 2))
    labels = np.where(rng.random((count, 6)) < hidden, 0.0, 2.0)
    return np.concatenate([points, labels[..., None]], axis=2), boxes_of(points)


def boxes_of(points: np.ndarray) -> np.ndarray:
    return np.concatenate([points.min(1) - 5, points.max(1) + 5], axis=1)


def looped(keypoints: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The densities by the definition; fewer people than references."""
    points, seen = normalised_poses(keypoints, boxes, SIX)
    count = len(points)
    squared = np.full((count, 2 * count), np.nan)
    for row in range(count):
        for column in range(2 * count):
            other, shown = points[column % count], seen[column % count]
            if column >= count:
                other, shown = other[FLIP] * (-1, 1), shown[FLIP]
            common = seen[row] & shown
            if common.sum() >= COMMON_JOINTS:
                squared[row, column] = ((points[row] - other)[common] ** 2).sum() / common.sum()
    nearest = [np.sort(np.where(np.isnan(row), np.inf, row))[int(NEAREST * 2 * count)] for row in squared]
    variance = np.median([value for value in nearest if 0 < value < np.inf])
    density = np.full(count, np.nan)
    for row in range(count):
        others = [v for c, v in enumerate(squared[row]) if c % count != row and not np.isnan(v)]
        if others:
            density[row] = (sum(np.exp(-v / 2 / variance) for v in others) + 1) / (len(others) + 1)
    density[np.isnan(density)] = np.median(density[~np.isnan(density)])
    return density


@pytest.mark.parametrize("hidden", [0.0, 0.35])
def test_densities_are_those_of_the_definition(hidden: float) -> None:
    keypoints, boxes = people(np.random.default_rng(0), 40, noise=8.0, hidden=hidden)
    assert not hidden or ((keypoints[..., 2] > 0).sum(1) < COMMON_JOINTS).any()
    np.testing.assert_allclose(pose_density(keypoints, boxes, SIX), looped(keypoints, boxes), rtol=1e-6)


def test_place_size_mirroring_and_hidden_joints_make_no_difference() -> None:
    rng = np.random.default_rng(1)
    keypoints, boxes = people(rng, 60, noise=6.0, hidden=0.15)
    density = pose_density(keypoints, boxes, SIX)
    moved = keypoints.copy()
    factor = rng.uniform(0.2, 5, (60, 1, 1))
    moved[..., :2] = moved[..., :2] * factor + rng.uniform(-99, 99, (60, 1, 2))
    mirrored = rng.random(60) < 0.5
    moved[mirrored] = moved[mirrored][:, FLIP] * (-1, 1, 1)
    low, high = boxes[:, :2], boxes[:, 2:]
    resized = np.concatenate([np.zeros((60, 2)), (high - low) * factor[:, 0]], axis=1)
    moved[moved[..., 2] == 0, :2] = 1e5
    np.testing.assert_allclose(pose_density(moved, resized, SIX), density, rtol=1e-6)


def test_a_torso_is_the_unit_and_its_middle_the_origin() -> None:
    keypoints = np.concatenate([UPRIGHT, np.full((6, 1), 2.0)], axis=1)[None]
    points, seen = normalised_poses(np.add(keypoints, (40, 7, 0)), boxes_of(UPRIGHT[None]), SIX)
    length = np.hypot(20, 40)
    np.testing.assert_allclose(points[0], UPRIGHT / length, atol=1e-9)
    assert seen.all()
    # Seen from above, shoulders over hips: the usual length's half at least, not an explosion.
    many = np.repeat(keypoints, 5, axis=0)
    many[0, 1:5, 1] = 0
    many[0, 1:5, 0] /= 10
    shrunk, _ = normalised_poses(many, boxes_of(many[..., :2]), SIX)
    assert np.abs(shrunk[0]).max() < 2.1 * np.abs(shrunk[1]).max()


def sets(keypoints: np.ndarray, folder: Any, *, per_image: int = 1, name: str = "set") -> Annotations:
    """Annotations of poses, moved into images of 300 x 300 px."""
    keypoints = keypoints.copy()
    keypoints[..., :2] += 150 - keypoints[..., :2].mean(1, keepdims=True)
    blank = np.zeros((300, 300, 3), np.uint8)
    images = -(-len(keypoints) // per_image)
    annotations = [person(i + 1, i // per_image + 1, pose) for i, pose in enumerate(keypoints)]
    path = folder([blank] * images, annotations, joints=SIX.keypoints, name=name)
    return load_annotations(path / "set.json", path / "images", SIX)


def rare_and_common(common: int, rare: int) -> np.ndarray:
    """Upright people, then as many upside down."""
    rng = np.random.default_rng(3)
    keypoints = people(rng, common + rare, noise=2.0)[0]
    keypoints[common:, :, 1] *= -1
    return keypoints


def test_an_exponent_of_one_shows_every_kind_alike(write_set: Any) -> None:
    source = sets(rare_and_common(180, 20), write_set)
    totals = {}
    for exponent in (0.0, 0.5, 1.0):
        (shares,) = rare_pose_shares([source], exponent)
        totals[exponent] = shares[180:].sum() / shares[:180].sum()
    assert totals[0.0] == pytest.approx(20 / 180)
    assert totals[0.5] == pytest.approx((20 / 180) ** 0.5, rel=0.3)
    assert totals[1.0] == pytest.approx(1.0, rel=0.45)


def test_nothing_is_drawn_without_bounds(write_set: Any) -> None:
    source = sets(np.concatenate([rare_and_common(120, 1)]), write_set)
    (shares,) = rare_pose_shares([source], 2.0)
    assert shares.argmax() == 120
    assert shares.max() == pytest.approx(MOST**2)
    assert shares.min() >= MOST**-2


def test_samples_come_by_their_rarity_and_sources_by_their_weight(write_set: Any) -> None:
    mixed = sets(rare_and_common(60, 6), write_set, name="mixed")
    plain = sets(rare_and_common(60, 0), write_set, name="plain")
    dataset = KeypointDataset([mixed, plain], task="crop", weights=[1.0, 2.0], rare_poses=1.0)
    length = len(dataset.order)
    assert length == pytest.approx(66 + 120, abs=2)
    drawn = np.bincount(dataset.order.indices(0, 30 * length, seed=1), minlength=126) / 30
    assert drawn[:66].sum() == pytest.approx(66, abs=2)
    shares = rare_pose_shares([mixed, plain], 1.0)[0]
    np.testing.assert_allclose(drawn[:66], shares / shares.mean(), rtol=0.35, atol=0.25)
    assert drawn[60:66].mean() > 3 * drawn[:60].mean()


def test_an_image_comes_as_its_people_do_on_average(write_set: Any) -> None:
    keypoints = rare_and_common(57, 3)
    source = sets(keypoints, write_set, per_image=3)
    dataset = KeypointDataset([source], task="image", rare_poses=1.0)
    (shares,) = rare_pose_shares([source], 1.0)
    expected = shares.reshape(20, 3).mean(1)
    expected /= expected.mean()
    drawn = np.bincount(dataset.order.indices(0, 2000, seed=2), minlength=20)
    np.testing.assert_allclose(drawn / drawn.mean(), expected, rtol=0.15, atol=0.1)
    assert drawn.argmax() == 19


def test_real_sets_are_weighted_within_bounds(shared_data: Path) -> None:
    lsp = {"annotations": "lsp/annotations/crowdpose14_train.json", "images": "lsp/images", "first": 300}
    config = DataConfig.read({"root": str(shared_data), "train": lsp, "rare_poses": 0.5}, "test")
    sources = config.load_train(Skeleton.load("crowdpose14"))
    (shares,) = rare_pose_shares(sources, 0.5)
    assert MOST**-0.5 <= shares.min() < 0.8 < 1.5 < shares.max() <= MOST**0.5
    plain = config.model_copy(update={"rare_poses": 0.0}).training_set(sources, task="crop")
    rare = config.training_set(sources, task="crop")
    assert len(rare.order) == pytest.approx(len(plain.order), abs=1)
    order = rare.order.indices(0, 900, seed=0)
    assert np.corrcoef(np.bincount(order, minlength=300), shares)[0, 1] > 0.7
    np.testing.assert_array_equal(
        config.training_set(sources, task="crop").order.indices(0, 900, seed=0), order
    )
