"""Samples: geometry, labels, replacement of bad images."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from dotted_people import centre_near, dots, person

from nas.codecs.affine import apply_affine, invert
from nas.data import (
    NO_AUGMENT,
    Annotations,
    AugmentConfig,
    KeypointDataset,
    SampleId,
    SampleRequest,
    TargetHead,
    load_annotations,
)
from nas.errors import UserError
from nas.space.arch import Head
from nas.space.skeleton import Skeleton

MOVING = AugmentConfig(scale=(0.8, 1.3), rotation=60.0, rotated=1.0, shift=0.05, flip=0.5, part=0.3)
HEATMAP, SIMCC = Head("heatmap"), Head("simcc", (("label", "gaussian"), ("split", 2)))
ASSOCIATIVE = Head("associative_embedding")


def simcc_points(targets: dict[str, np.ndarray]) -> np.ndarray:
    """Keypoints [K, 3] (px, weight) at the maxima of SimCC targets."""
    x, y = (targets[axis].argmax(1) / 2 - 0.25 for axis in "xy")
    return np.column_stack([x, y, targets["weights"]])


@pytest.mark.parametrize("largest", [None, (64, 48)])
def test_joints_lie_on_their_dots_whatever_the_warp(
    dotted: Annotations, largest: tuple[int, int] | None
) -> None:
    dataset = KeypointDataset([dotted], task="crop", augment=MOVING, largest=largest)
    errors = []
    for seed in range(30):
        sample = dataset[SampleRequest(seed % len(dataset), (seed,), (96, 72), SIMCC)]
        for x, y, weight in simcc_points(sample.targets):
            if weight and 8 < x < 63 and 8 < y < 87:
                errors.append(centre_near(sample.image, np.array([x, y]), 5) - (x, y))
    assert len(errors) > 100
    assert np.hypot(*np.transpose(errors)).max() < (1.0 if largest else 0.6)
    assert np.abs(np.mean(errors, axis=0)).max() < 0.1


def test_a_shrunk_image_is_not_displaced(dotted: Annotations) -> None:
    size = (24, 32)
    exact = KeypointDataset([dotted], task="image")
    shrunk = KeypointDataset([dotted], task="image", largest=size)
    for index in range(len(dotted.images)):
        request = SampleRequest(index, (), size, augment=False)
        np.testing.assert_allclose(shrunk[request].inverse, exact[request].inverse)
        points = apply_affine(dotted.people.keypoints[index], invert(shrunk[request].inverse))
        found = [centre_near(shrunk[request].image, point, 3)[:2] for point in points[:, :2]]
        assert np.abs(np.mean(found - points[:, :2], axis=0)).max() < 0.15


def test_the_inverse_affine_leads_back_to_the_image(dotted: Annotations) -> None:
    dataset = KeypointDataset([dotted], task="crop", augment=MOVING)
    flipped = np.array(dotted.skeleton.flip_index)
    for seed in range(10):
        sample = dataset[SampleRequest(2, (seed,), (128, 96), SIMCC)]
        found = simcc_points(sample.targets)
        if np.linalg.det(sample.inverse[:, :2]) < 0:
            found = found[flipped]
        back = apply_affine(found, sample.inverse)[found[:, 2] > 0]
        truth = dotted.people.keypoints[2][found[:, 2] > 0]
        assert np.abs(back[:, :2] - truth[:, :2]).max() < 0.5


def test_flipping_exchanges_left_and_right_exactly(dotted: Annotations) -> None:
    plain = KeypointDataset([dotted], task="crop")
    mirrored = KeypointDataset([dotted], task="crop", augment=AugmentConfig(flip=1.0))
    request = SampleRequest(3, (1,), (96, 72), HEATMAP)
    straight, flipped = plain[request], mirrored[request]
    difference = flipped.image[:, ::-1].astype(int) - straight.image.astype(int)
    assert np.abs(difference).max() <= 8  # OpenCV rounds positions to 1/32 px
    order = list(dotted.skeleton.flip_index)
    np.testing.assert_allclose(
        flipped.targets["heatmaps"][order][..., ::-1], straight.targets["heatmaps"], atol=1e-5
    )


def test_requests_without_augmentation_do_not_vary(dotted: Annotations) -> None:
    dataset = KeypointDataset([dotted], task="crop", augment=AugmentConfig.read("strong", "test"))
    first, second = (dataset[SampleRequest(0, (seed,), (64, 48), augment=False)] for seed in (1, 2))
    np.testing.assert_array_equal(first.image, second.image)
    varied = [dataset[SampleRequest(0, seed, (64, 48))] for seed in ((1, 2), (1, 2), (1, 3))]
    np.testing.assert_array_equal(varied[0].image, varied[1].image)
    assert (varied[0].image != varied[2].image).any()
    assert varied[0].targets == {}


def test_a_batch_is_its_samples(dotted: Annotations) -> None:
    dataset = KeypointDataset([dotted], task="crop", augment=MOVING)
    requests = [SampleRequest(index, (7, index), (64, 48), HEATMAP, strides=(8,)) for index in (4, 1, 4)]
    batch = dataset.batch(requests)
    assert batch.images.shape == (3, 64, 48, 3)
    assert batch.images.dtype == torch.uint8
    assert batch.targets["heatmaps"].shape == (3, 7, 8, 6)
    assert batch.ids == (SampleId(0, 5, 50), SampleId(0, 2, 20), SampleId(0, 5, 50))
    for row, request in enumerate(requests):
        sample = dataset[request]
        np.testing.assert_array_equal(batch.images[row], sample.image)
        np.testing.assert_array_equal(batch.inverse[row], sample.inverse)
        for name, target in sample.targets.items():
            np.testing.assert_array_equal(batch.targets[name][row], target)
    with pytest.raises(ValueError, match="must agree"):
        dataset.batch([requests[0], SampleRequest(0, (), (32, 48), HEATMAP)])


def test_further_heads_get_their_targets_from_the_same_image(dotted: Annotations) -> None:
    """What they get beside another is what each gets alone."""
    dataset = KeypointDataset([dotted], task="crop", augment=AugmentConfig.read("strong", "test"))
    heads = [
        TargetHead(HEATMAP, (8,)),
        TargetHead(SIMCC, (4,)),
        TargetHead(Head("dsnt", (("deconvolutions", 0), ("width", 8))), (4,)),
    ]
    alone = [
        dataset.batch(
            [SampleRequest(index, (3, index), (64, 48), head, strides=strides) for index in (4, 1, 4)]
        )
        for head, strides in heads
    ]
    requests = [
        SampleRequest(index, (3, index), (64, 48), HEATMAP, strides=(8,), beside=tuple(heads[1:]))
        for index in (4, 1, 4)
    ]
    together = dataset.batch(requests)
    assert len(together.beside) == 2
    for found, batch in zip((together.targets, *together.beside), alone, strict=True):
        assert torch.equal(together.images, batch.images)
        assert found.keys() == batch.targets.keys()
        for name, target in found.items():
            assert torch.equal(target, batch.targets[name]), name
    sample = dataset[requests[0]]
    for found, targets in zip(together.beside, sample.beside, strict=True):
        for name, target in targets.items():
            np.testing.assert_array_equal(found[name][0], target)
    with pytest.raises(ValueError, match="must agree"):
        dataset.batch([requests[0], SampleRequest(4, (3, 4), (64, 48), HEATMAP, strides=(8,))])


def test_sources_are_joined_on_one_skeleton(write_set: Any, dotted: Annotations) -> None:
    joints = ("right_hand", "left_hand", "tail")
    keypoints = np.array([[30.0, 30, 2], [60, 40, 1], [5, 5, 2]])
    folder = write_set([dots(keypoints, (90, 120))], [person(9, 1, keypoints)], joints=joints, name="second")
    second = load_annotations(folder / "set.json", folder / "images", dotted.skeleton)
    dataset = KeypointDataset([dotted, second], task="crop", weights=[1.0, 3.0])
    assert len(dataset) == 7
    assert len(dataset.order) == 9
    assert dataset.sample_id(6) == SampleId(1, 1, 9)
    sample = dataset[SampleRequest(6, (), (96, 96), SIMCC, augment=False)]
    assert sample.targets["weights"].tolist() == [0, 1, 1, 0, 0, 0, 0]
    back = apply_affine(simcc_points(sample.targets)[1:3], sample.inverse)
    np.testing.assert_allclose(back[:, :2], [[60, 40], [30, 30]], atol=0.5)
    other = Skeleton(name="other", keypoints=("tail",), flip_pairs=(), sigmas=(0.1,))
    with pytest.raises(UserError, match="load both with one skeleton"):
        KeypointDataset([dotted, load_annotations(folder / "set.json", folder, other)], task="crop")


def test_an_unreadable_image_is_replaced_alike_every_time(dotted: Annotations) -> None:
    assert dotted.folder is not None
    (dotted.folder / "3.png").write_bytes(b"spoilt")
    (dotted.folder / "4.png").unlink()
    dataset = KeypointDataset([dotted], task="crop", augment=MOVING)
    request = SampleRequest(2, (5, 5), (64, 48), HEATMAP)
    first, second = dataset[request], dataset[request]
    assert first.id == second.id != dataset.sample_id(2)
    np.testing.assert_array_equal(first.image, second.image)
    assert first.failures[0].startswith(str(dotted.folder / "3.png") + ": ")
    assert "4.png" in str(dataset[SampleRequest(3, (1,), (64, 48))].failures)
    with pytest.raises(UserError, match=r"3\.png: this is not an image"):
        dataset[dataset.requests((64, 48))[2]]


def test_only_bad_images_are_a_users_error(dotted: Annotations) -> None:
    for image in range(len(dotted.images)):
        dotted.image_file(image).unlink()
    with pytest.raises(UserError, match=r"10 images in a row cannot be read, the first: .*1\.png"):
        KeypointDataset([dotted], task="crop")[SampleRequest(0, (1,), (64, 48))]


def test_a_set_without_images_cannot_be_trained_on(dotted: Annotations) -> None:
    without = load_annotations(dotted.path, None, dotted.skeleton)
    with pytest.raises(UserError, match="an image folder is needed"):
        KeypointDataset([without], task="crop")


def test_images_without_people_are_for_evaluation(write_set: Any, skeleton: Skeleton) -> None:
    keypoints = np.zeros((7, 3))
    keypoints[0] = (20, 20, 2)
    blank = np.zeros((40, 40, 3), np.uint8)
    folder = write_set([blank, blank], [person(1, 2, keypoints)])
    annotations = load_annotations(folder / "set.json", folder / "images", skeleton)
    assert len(KeypointDataset([annotations], task="image")) == 1
    everything = KeypointDataset([annotations], task="image", empty=True)
    assert [everything.sample_id(index).image for index in range(2)] == [1, 2]
    empty = everything[SampleRequest(0, (), (32, 32), ASSOCIATIVE, augment=False)]
    assert empty.targets["joints"].sum() == 0


@pytest.mark.parametrize("preset", ["none", "weak", "strong"])
def test_real_crowded_photographs_give_targets_and_masks(shared_data: Path, preset: str) -> None:
    folder = shared_data / "coco_mini"
    annotations = load_annotations(
        folder / "annotations" / "coco17_val.json", folder / "images", Skeleton.load("coco17")
    )
    augment = AugmentConfig.read(preset, "test")
    dataset = KeypointDataset([annotations], task="image", augment=augment, largest=(128, 128))
    batch = dataset.batch(
        [SampleRequest(i, (i,), (128, 128), ASSOCIATIVE) for i in range(0, len(dataset), 3)]
    )
    assert 0.5 < batch.targets["mask_4"].mean() < 1
    assert batch.targets["heatmaps_2"].amax(dim=(1, 2, 3)).min() > 0.5
    assert batch.targets["joints"][..., 1].sum() > 30
    assert batch.images.float().std() > 20


def test_a_real_crop_shows_the_person(shared_data: Path) -> None:
    folder = shared_data / "lspet"
    annotations = load_annotations(
        folder / "annotations" / "crowdpose14_val.json", folder / "images", Skeleton.load("crowdpose14")
    ).first(8)
    dataset = KeypointDataset([annotations], task="crop", augment=NO_AUGMENT, largest=(128, 96))
    for request in dataset.requests((128, 96), SIMCC):
        sample = dataset[request]
        labelled = annotations.people.keypoints[request.index, :, 2] > 0
        np.testing.assert_array_equal(sample.targets["weights"] > 0, labelled)
        # The crop, taken back to the photograph, is the photograph.
        image = cv2.imread(str(annotations.image_file(request.index)))[..., ::-1]
        size = (image.shape[1], image.shape[0])
        back = cv2.warpAffine(sample.image, sample.inverse, size)
        inside = cv2.warpAffine(np.full((128, 96), 255, np.uint8), sample.inverse, size) == 255
        assert np.abs(back[inside].astype(int) - image[inside]).mean() < 12
