"""Mosaics: tiles, the people in them, and whole inputs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dotted_people import centre_near, dots, person
from hypothesis import given
from hypothesis import strategies as st

from nas.codecs import People
from nas.codecs.affine import apply_affine, invert
from nas.data import (
    Annotations,
    AugmentConfig,
    KeypointDataset,
    SampleId,
    SampleRequest,
    load_annotations,
)
from nas.data.mosaic import Tile, compose, draw_tiles, largest_tile
from nas.errors import UserError
from nas.space.arch import Head
from nas.space.skeleton import Skeleton

MOSAIC = AugmentConfig(mosaic=1.0, mosaic_sides=(2, 3), scale=(0.8, 1.2), rotation=40.0, flip=0.5)


def crowd(rng: np.random.Generator, count: int, size: tuple[int, int]) -> People:
    """People of 5 joints, some beyond the input of that size (h, w), some joints unlabelled."""
    middles = rng.uniform((-0.3 * size[1], -0.3 * size[0]), (1.3 * size[1], 1.3 * size[0]), (count, 2))
    joints = middles[:, None] + rng.normal(0, 8, (count, 5, 2))
    labels = rng.integers(0, 3, (count, 5, 1))
    boxes = np.concatenate([joints.min(1) - 4, joints.max(1) + 4], axis=1)
    areas = 0.5 * (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return People(np.concatenate([joints, labels], axis=2), areas, boxes)


@given(st.integers(2, 4), st.integers(16, 400), st.integers(16, 400), st.integers(0, 10**6))
def test_tiles_fill_the_input_without_overlap(side: int, height: int, width: int, seed: int) -> None:
    covered = np.zeros((height, width), int)
    tiles = draw_tiles((height, width), side, np.random.default_rng(seed))
    assert len(tiles) == side**2
    for tile in tiles:
        part = tile.of(covered)
        assert part.size
        part += 1
        assert tile.right - tile.left <= largest_tile(side) * width + 1
        assert tile.bottom - tile.top <= largest_tile(side) * height + 1
    assert (covered == 1).all()


def test_the_split_is_drawn_over_its_whole_range() -> None:
    splits = [draw_tiles((100, 200), 2, np.random.default_rng(seed))[0] for seed in range(300)]
    assert min(tile.right for tile in splits) < 65 < 135 < max(tile.right for tile in splits)
    assert min(tile.bottom for tile in splits) < 33 < 67 < max(tile.bottom for tile in splits)
    assert abs(np.corrcoef([(tile.right, tile.bottom) for tile in splits], rowvar=False)[0, 1]) < 0.2


@given(st.integers(0, 10**6), st.integers(0, 12), st.booleans())
def test_people_end_with_their_tiles(seed: int, count: int, masked: bool) -> None:
    rng = np.random.default_rng(seed)
    resolution = (60, 90)
    tiles = draw_tiles(resolution, 2, rng)
    parts = []
    for tile in tiles:
        size = (tile.bottom - tile.top, tile.right - tile.left)
        people = crowd(rng, count, size)
        mask = rng.random(size) < 0.8 if masked else None
        parts.append((tile, People(people.keypoints, people.areas, people.boxes, mask)))
    scene = compose(parts, resolution)
    counts = np.ones(resolution, bool) if scene.mask is None else scene.mask
    expected, kept = np.ones(resolution, bool), []
    for tile, people in parts:
        part = tile.of(expected)
        if people.mask is not None:
            part[:] = people.mask
        for keypoints, area, box in zip(people.keypoints, people.areas, people.boxes, strict=True):
            shown = [
                v > 0 and -0.5 <= x < part.shape[1] - 0.5 and -0.5 <= y < part.shape[0] - 0.5
                for x, y, v in keypoints
            ]
            x0, x1 = np.clip(box[[0, 2]], -0.5, part.shape[1] - 0.5)
            y0, y1 = np.clip(box[[1, 3]], -0.5, part.shape[0] - 0.5)
            if any(shown):
                kept.append(
                    (tile, keypoints, shown, area * (x1 - x0) * (y1 - y0) / np.prod(box[2:] - box[:2]))
                )
            else:
                part[round(y0 + 0.5) : round(y1 + 0.5), round(x0 + 0.5) : round(x1 + 0.5)] = False
    np.testing.assert_array_equal(counts, expected)
    assert len(scene) == len(kept)
    for row, (tile, keypoints, shown, area) in enumerate(kept):
        offset = (tile.left, tile.top)
        np.testing.assert_allclose(scene.keypoints[row, :, :2], keypoints[:, :2] + offset)
        np.testing.assert_array_equal(scene.keypoints[row, :, 2], np.where(shown, keypoints[:, 2], 0))
        assert scene.areas[row] == pytest.approx(area)
        x0, y0, x1, y1 = scene.boxes[row]
        assert tile.left - 0.5 <= x0 < x1 <= tile.right - 0.5
        assert tile.top - 0.5 <= y0 < y1 <= tile.bottom - 0.5


def test_a_scene_of_whole_people_has_no_mask() -> None:
    box = np.array([[2.0, 2, 12, 12]])
    one = People(np.array([[[5.0, 6, 2], [9, 9, 0]]]), np.array([50.0]), box)
    scene = compose([(Tile(0, 0, 20, 30), one), (Tile(20, 0, 40, 30), one)], (30, 40))
    assert scene.mask is None
    np.testing.assert_array_equal(scene.keypoints[:, 0], [[5, 6, 2], [25, 6, 2]])
    np.testing.assert_array_equal(scene.areas, [50, 50])


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("largest", [None, (120, 160)])
def test_joints_lie_on_their_dots_in_every_tile(
    dotted: Annotations, largest: tuple[int, int] | None, complete: bool
) -> None:
    source = Annotations(
        dotted.path, dotted.folder, dotted.skeleton, dotted.images, dotted.people, complete=complete
    )
    dataset = KeypointDataset([source], task="image", augment=MOSAIC, largest=largest)
    errors, people_of = [], []
    for seed in range(25):
        image, people = dataset.labelled(SampleRequest(seed % 6, (seed,), (120, 160)))
        people_of.append(len(people))
        for joints in people.keypoints:
            for x, y, v in joints:
                # A dot shrinks to less than 2 px here: its neighbours are out of reach.
                if v and image[round(y), round(x)].max() > 150:
                    errors.append(centre_near(image, np.array([x, y]), 3) - (x, y))
    assert 4 <= np.mean(people_of) <= 9
    assert len(errors) > 300
    assert np.median(np.hypot(*np.transpose(errors))) < 0.5
    assert np.abs(np.mean(errors, axis=0)).max() < 0.1


def test_mosaics_follow_their_request_alone(dotted: Annotations) -> None:
    augment = MOSAIC.model_copy(update={"mosaic": 0.5, "information_dropping": 0.5, "cutout": 1.0})
    requests = [SampleRequest(1, (3, seed), (64, 64), Head("associative_embedding")) for seed in range(12)]
    first, second = (KeypointDataset([dotted], task="image", augment=augment) for _ in range(2))
    forward = [first[request] for request in requests]
    backward = [second[request] for request in reversed(requests)][::-1]
    for one, other in zip(forward, backward, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.inverse, other.inverse)
        for name, target in one.targets.items():
            np.testing.assert_array_equal(target, other.targets[name])
    counts = {len(first.labelled(request)[1]) > 1 for request in requests}
    assert counts == {True, False}


def test_the_requested_sample_is_shown_and_its_affine_leads_back(dotted: Annotations) -> None:
    augment = AugmentConfig(mosaic=1.0, scale=(0.7, 0.7))
    dataset = KeypointDataset([dotted], task="image", augment=augment)
    tiles = set()
    for seed in range(30):
        sample = dataset[SampleRequest(2, (seed,), (96, 96))]
        assert sample.id == SampleId(0, 3)
        expected = apply_affine(dotted.people.keypoints[2], invert(sample.inverse))[:, :2]
        people = dataset.labelled(SampleRequest(2, (seed,), (96, 96)))[1]
        distance = np.abs(people.keypoints[..., :2] - expected).max((1, 2))
        assert distance.min() < 1e-6
        tiles.add(tuple(expected.mean(0) > 48))
    assert len(tiles) == 4


def test_other_samples_come_by_the_weights_of_their_sources(write_set: Any, skeleton: Skeleton) -> None:
    def source(name: str, colour: int) -> Annotations:
        keypoints = np.full((7, 3), 2.0)
        keypoints[:, :2] = np.linspace(30, 50, 7)[:, None]
        images = [np.full((80, 80, 3), colour, np.uint8)] * 4
        folder = write_set(images, [person(i, i, keypoints) for i in range(1, 5)], name=name)
        return load_annotations(folder / "set.json", folder / "images", skeleton)

    dataset = KeypointDataset(
        [source("dark", 60), source("light", 250)],
        task="image",
        augment=AugmentConfig(mosaic=1.0),
        weights=[1.0, 4.0],
    )
    light = []
    for seed in range(120):
        image, people = dataset.labelled(SampleRequest(0, (seed,), (64, 64)))
        points = np.rint(people.keypoints[:, 3, :2]).astype(int)
        light += [int(value > 200) for value in image[points[:, 1], points[:, 0], 0]]
    # One of four tiles is the requested one, of the dark set; of the others four in five are light.
    assert np.mean(light) == pytest.approx(0.75 * 0.8, abs=0.07)


def test_what_people_without_labels_cover_does_not_count(write_set: Any, skeleton: Skeleton) -> None:
    keypoints = np.full((7, 3), 2.0)
    keypoints[:, :2] = np.linspace(10, 30, 7)[:, None]
    nobody = person(2, 1, np.zeros((7, 3)), bbox=[50, 50, 40, 40])
    image = dots(keypoints, (100, 100))
    image[50:90, 50:90] = (255, 0, 0)
    folder = write_set([image], [person(1, 1, keypoints), nobody])
    annotations = load_annotations(folder / "set.json", folder / "images", skeleton)
    dataset = KeypointDataset([annotations], task="image", augment=AugmentConfig(mosaic=1.0))
    for seed in range(10):
        scene, people = dataset.labelled(SampleRequest(0, (seed,), (128, 128)))
        assert people.mask is not None
        red = (scene[..., 0] > 200) & (scene[..., 1] < 50)
        assert red.sum() > 500
        assert people.mask[red].mean() < 0.02


def test_unreadable_tiles_are_replaced(dotted: Annotations) -> None:
    (dotted.image_file(3)).unlink()
    dataset = KeypointDataset([dotted], task="image", augment=MOSAIC)
    samples = [dataset[SampleRequest(3, (seed,), (64, 64))] for seed in range(4)]
    assert all("4.png" in sample.failures[0] for sample in samples)
    assert all(sample.id.image != 4 for sample in samples)


def test_crops_are_not_put_together(dotted: Annotations) -> None:
    with pytest.raises(UserError, match="only whole images"):
        KeypointDataset([dotted], task="crop", augment=MOSAIC)
    with pytest.raises(UserError, match="only whole images"):
        KeypointDataset([dotted], task="crop", late_augment=MOSAIC)


@pytest.mark.parametrize("head", ["associative_embedding", "center", "dense", "part_affinity"])
def test_every_whole_image_head_takes_crowded_mosaics(shared_data: Path, head: str) -> None:
    skeleton = Skeleton.load("coco17")
    crowded = load_annotations(
        shared_data / "coco_mini/annotations/coco17_train.json", shared_data / "coco_mini/images", skeleton
    )
    single = load_annotations(
        shared_data / "lsp/annotations/coco17_train.json",
        shared_data / "lsp/images",
        skeleton,
        complete=False,
    ).first(40)
    augment = MOSAIC.model_copy(update={"mosaic_sides": (3,)})
    dataset = KeypointDataset([crowded, single], task="image", augment=augment, largest=(192, 256))
    requests = [SampleRequest(i, (i,), (192, 256), Head(head), strides=(16, 8, 4)) for i in range(12)]
    batch = dataset.batch(requests)
    for name, target in batch.targets.items():
        assert target.isfinite().all(), name
    assert max(len(dataset.labelled(request)[1]) for request in requests) > 15
