import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.codecs.affine import (
    affine_scale,
    apply_affine,
    box_affine,
    boxes_through,
    crop_affine,
    image_affine,
    invert,
    turned_scale,
    warp_image,
    warp_mask,
)
from nas.codecs.normalise import MEAN, STD, normalise

sizes = st.tuples(st.integers(1, 900), st.integers(1, 900))
augmentations = st.fixed_dictionaries(
    {
        "scale": st.floats(0.3, 3),
        "rotation": st.floats(-180, 180),
        "flip": st.booleans(),
        "shift": st.tuples(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4)),
    }
)


@given(size=sizes, resolution=sizes)
def test_letterbox_keeps_aspect_and_touches_the_input_along_one_axis(size, resolution):
    affine = image_affine(size, resolution)
    corners = apply_affine(np.array([[-0.5, -0.5], [size[1] - 0.5, size[0] - 0.5]]), affine)
    extent = corners[1] - corners[0]
    assert extent[0] / extent[1] == pytest.approx(size[1] / size[0])
    assert np.isclose(extent, [resolution[1], resolution[0]]).any()
    assert (extent <= np.array([resolution[1], resolution[0]]) + 1e-6).all()
    np.testing.assert_allclose(corners.mean(0), [(resolution[1] - 1) / 2, (resolution[0] - 1) / 2], atol=1e-6)


@given(size=sizes, resolution=sizes, rotation=st.floats(-360, 360))
def test_a_turned_image_stays_in_sight(size, resolution, rotation):
    scale = turned_scale(size, resolution, rotation)
    assert 0 < scale <= 1
    assert turned_scale(size, resolution, 0.0) == 1
    height, width = np.array(size) - 0.5
    corners = np.array([[-0.5, -0.5], [width, -0.5], [-0.5, height], [width, height]])
    seen = apply_affine(corners, image_affine(size, resolution, scale=scale, rotation=rotation))
    assert (seen >= -0.5 - 1e-6).all()
    assert (seen <= np.array(resolution[::-1]) - 0.5 + 1e-6).all()


@given(size=sizes, resolution=sizes, augmentation=augmentations, seed=st.integers(0, 2**32 - 1))
def test_boxes_go_where_their_corners_go(size, resolution, augmentation, seed):
    affine = image_affine(size, resolution, **augmentation)
    points = np.random.default_rng(seed).uniform(-50, 900, (5, 2, 2))
    boxes = np.concatenate([points.min(1), points.max(1)], axis=1)
    x, y = boxes[:, [0, 2]], boxes[:, [1, 3]]
    corners = np.stack([np.stack([x[:, a], y[:, b]], axis=-1) for a in (0, 1) for b in (0, 1)], axis=1)
    moved = apply_affine(corners, affine)
    np.testing.assert_allclose(
        boxes_through(boxes, affine), np.hstack([moved.min(1), moved.max(1)]), atol=1e-6
    )


def test_resize_is_in_pixel_centres():
    affine = image_affine((40, 60), (20, 30))
    np.testing.assert_allclose(apply_affine(np.array([[0.0, 0.0], [59.0, 39.0]]), affine)[0], [-0.25, -0.25])
    np.testing.assert_allclose(affine, [[0.5, 0, -0.25], [0, 0.5, -0.25]])


def test_crop_shows_the_padded_box():
    affine = crop_affine((10, 20, 50, 120), (256, 192), padding=1.25)
    assert affine_scale(affine) == pytest.approx(256 / 125)
    np.testing.assert_allclose(apply_affine(np.array([30.0, 70.0]), affine), [95.5, 127.5])


@given(params=augmentations)
def test_inverse_undoes_and_other_columns_stay(params):
    affine = crop_affine((3, 4, 100, 90), (128, 96), **params)
    points = np.array([[[5.0, 7.0, 2.0], [-3.0, 200.0, 0.0]]])
    back = apply_affine(apply_affine(points, affine), invert(affine))
    np.testing.assert_allclose(back, points, atol=1e-8)


@given(params=augmentations)
def test_flip_mirrors_the_finished_input(params):
    points = np.array([[5.0, 7.0], [40.0, 33.0]])
    plain = apply_affine(points, box_affine((3, 4, 100, 90), (128, 96), **{**params, "flip": False}))
    flipped = apply_affine(points, box_affine((3, 4, 100, 90), (128, 96), **{**params, "flip": True}))
    np.testing.assert_allclose(flipped[:, 0], 95 - plain[:, 0], atol=1e-9)
    np.testing.assert_allclose(flipped[:, 1], plain[:, 1], atol=1e-9)


def test_positive_rotation_is_clockwise():
    affine = box_affine((0, 0, 10, 10), (100, 100), rotation=90)
    right_of_centre = apply_affine(np.array([9.0, 5.0]), affine)
    np.testing.assert_allclose(right_of_centre, [49.5, 89.5], atol=1e-9)


@pytest.mark.parametrize("box", [(0, 0, 0, 0), (5, 5, 1, 1), (0, 0, np.nan, 3)])
def test_box_without_extent_is_refused(box):
    with pytest.raises(ValueError, match="cannot be scaled"):
        crop_affine(box, (64, 64))


def test_warped_image_follows_the_points():
    rng = np.random.default_rng(0)
    spots = rng.uniform([15, 15], [145, 105], (12, 2))
    for spot in spots:
        ys, xs = np.mgrid[0:120, 0:160]
        bell = np.exp(-((xs - spot[0]) ** 2 + (ys - spot[1]) ** 2) / (2 * 3.0**2))
        image = np.repeat((bell * 255).round().astype(np.uint8)[..., None], 3, axis=2)
        affine = image_affine((120, 160), (96, 128), rotation=20, scale=1.1, flip=True)
        warped = warp_image(image, affine, (96, 128), border=(0, 0, 0))[..., 0].astype(float)
        expected = apply_affine(spot, affine)
        if not ((expected > 10) & (expected < [117, 85])).all():
            continue
        ys, xs = np.mgrid[0:96, 0:128]
        centroid = [(warped * xs).sum() / warped.sum(), (warped * ys).sum() / warped.sum()]
        np.testing.assert_allclose(centroid, expected, atol=0.05)


def test_half_size_warp_equals_opencv_resize():
    image = np.random.default_rng(1).integers(0, 256, (64, 48, 3), np.uint8)
    warped = warp_image(image, image_affine((64, 48), (32, 24)), (32, 24))
    resized = cv2.resize(image, (24, 32), interpolation=cv2.INTER_LINEAR)
    assert np.abs(warped.astype(int) - resized).max() <= 1


def test_outside_is_the_border_colour_and_the_mask_says_so():
    image = np.full((10, 20, 3), 200, np.uint8)
    affine = image_affine((10, 20), (20, 20))
    warped = warp_image(image, affine, (20, 20))
    np.testing.assert_array_equal(warped[0, 0], np.round(MEAN * 255))
    assert (warped[10] == 200).all()
    mask = np.zeros((10, 20), bool)
    assert warp_mask(mask, affine, (20, 20), outside=True)[0].all()
    assert not warp_mask(mask, affine, (20, 20), outside=False).any()


def test_normalise_is_imagenets():
    images = np.random.default_rng(2).integers(0, 256, (2, 5, 4, 3), np.uint8)
    expected = ((images / 255 - MEAN.astype(np.float64)) / STD.astype(np.float64)).transpose(0, 3, 1, 2)
    result = normalise(images)
    assert result.dtype == np.float32
    assert result.flags.c_contiguous
    np.testing.assert_allclose(result, expected, atol=2e-6)
    np.testing.assert_array_equal(normalise(images[1]), result[1])
