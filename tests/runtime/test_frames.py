"""Frames of any channels show a network the same; of large ones only what is shown is looked at."""

import numpy as np
import pytest

from nas.codecs.affine import affine_scale, crop_affine, warp_image
from nas.errors import UserError
from nas.runtime.frames import Channels, ColourFrame

RESOLUTION = (64, 48)


def picture(size: tuple[int, int] = (90, 70)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)


@pytest.mark.parametrize("box", [(5, 8, 60, 80), (-30, -20, 40, 50)])
def test_a_network_sees_rgb_whatever_lies_in_memory(box: tuple[int, int, int, int]) -> None:
    rgb = picture()
    clear = np.full((*rgb.shape[:2], 1), 7, np.uint8)
    affine = crop_affine(box, RESOLUTION)
    expected = warp_image(rgb, affine, RESOLUTION)
    given: dict[Channels, np.ndarray] = {
        "rgb": rgb,
        "bgr": rgb[..., ::-1],
        "rgba": np.concatenate([rgb, clear], -1),
        "bgra": np.concatenate([rgb[..., ::-1], clear], -1),
    }
    for colour, pixels in given.items():
        frame = ColourFrame.of(pixels, colour)
        assert frame.size == (90, 70)
        np.testing.assert_array_equal(frame.through(affine, RESOLUTION), expected, err_msg=colour)


def test_grey_is_every_colour() -> None:
    grey = picture()[..., 0]
    expected = np.stack([grey] * 3, -1)
    for pixels in (grey, grey[..., None]):
        np.testing.assert_array_equal(ColourFrame.of(pixels, "grey").pixels, expected)


@pytest.mark.parametrize(
    ("image", "colour"),
    [
        (np.zeros((4, 5), np.uint8), "rgb"),
        (np.zeros((4, 5, 4), np.uint8), "rgb"),
        (np.zeros((4, 5, 3), np.uint8), "grey"),
        (np.zeros((4, 5, 3), np.uint8), "rgba"),
        (np.zeros((4, 5, 3), np.uint8), "hsv"),
        (np.zeros((0, 5, 3), np.uint8), "bgr"),
        (np.zeros(5, np.uint8), "grey"),
        (np.zeros((4, 5, 3), np.float32), "rgb"),
    ],
)
def test_other_arrays_are_refused(image: np.ndarray, colour: Channels) -> None:
    with pytest.raises(UserError, match=r"`colour`|uint8"):
        ColourFrame.of(image, colour)


@pytest.mark.parametrize(
    ("box", "percentile"),
    [
        ((300, 200, 420, 500), 98),
        ((-60, 900, 120, 1200), 98),
        ((1700, -50, 2100, 300), 98),
        # All of the height, no multiple of the squares' sides; of 48 columns two show the image's ends.
        ((10, -100, 1900, 1300), 95),
    ],
)
@pytest.mark.parametrize("bgr", [False, True])
def test_a_small_part_of_a_large_image_looks_as_it_does_in_the_whole(
    box: tuple[int, int, int, int], percentile: int, bgr: bool
) -> None:
    """Areas are averaged from another pixel on: smooth pictures differ by a grey level or two."""
    affine = crop_affine(box, RESOLUTION)
    y, x = np.mgrid[:1080, :1920]
    waves = affine_scale(affine) / 10  # smooth as the crop shows them
    rgb = np.stack(
        [128 + 100 * np.sin(x * waves), 128 + 100 * np.cos(y * waves), (x + y) * waves % 34 * 7], -1
    )
    rgb = np.ascontiguousarray(rgb.astype(np.uint8))
    expected = warp_image(rgb, affine, RESOLUTION)
    frame = ColourFrame(np.ascontiguousarray(rgb[..., ::-1]) if bgr else rgb, bgr=bgr)
    np.testing.assert_array_equal(frame.through(affine, RESOLUTION), expected)
    shown = frame.through(affine, RESOLUTION, quick=True)
    difference = np.abs(shown.astype(int) - expected)
    assert difference.mean() < 1
    assert np.percentile(difference, percentile) <= 4


def test_what_is_outside_of_the_image_has_the_border_colour() -> None:
    frame = ColourFrame(picture((1080, 1920)), bgr=True)
    shown = frame.through(
        crop_affine((-900, -900, -700, -700), RESOLUTION), RESOLUTION, border=(1, 2, 3), quick=True
    )
    assert (shown == (1, 2, 3)).all()
