"""Targets and reference decode of the heads whose keypoints are expectations: integral and DSNT."""

from functools import partial

import numpy as np
import pytest
from codec_people import flip_people, inside, make_people, random_people
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from nas.codecs.dsnt import DSNTCodec
from nas.codecs.integral import IntegralCodec, score_radius, target_sigma
from nas.errors import UserError
from nas.space.skeleton import Skeleton

SIZES = [(128, 96), (64, 64), (256, 192)]
SKELETONS = ["coco17", "crowdpose14", "mpii16"]


def someone(skeleton, seed, size):
    return random_people(np.random.default_rng(seed), count=1, joints=len(skeleton.keypoints), size=size)


def decoded(codec, x, y):
    """Positions [K, 2] (px) of the distributions that are products of these."""
    maps = y[:, :, None].astype(np.float64) * x[:, None, :]
    return codec.decode_maps({"probabilities": maps})["keypoints"][0, :, :2]


@pytest.mark.parametrize("name", SKELETONS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("stride", "deconvolutions"), [(4, 0), (16, 0), (16, 2), (2, 1)])
@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_coordinates_are_exact(name, size, stride, deconvolutions, seed):
    skeleton = Skeleton.load(name)
    people = someone(skeleton, seed, size)
    codec = IntegralCodec(skeleton, size, {"deconvolutions": deconvolutions}, stride=stride)
    targets = codec.encode(people)
    np.testing.assert_array_equal(targets["weights"] > 0, inside(people.keypoints[0], size))
    seen = targets["weights"] > 0
    cell = stride / 2**deconvolutions
    pixels = (targets["coordinates"][seen].astype(np.float64) + 0.5) * cell - 0.5
    np.testing.assert_allclose(pixels, people.keypoints[0, seen, :2], atol=1e-4)
    assert not targets["coordinates"][~seen].any()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stride", [2, 4, 16])
@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_shared_between_two_cells_a_keypoint_comes_back(skeleton, size, stride, seed):
    """Half a cell off at most, and only outside of the outermost cells' centres."""
    codec = IntegralCodec(skeleton, size, stride=stride)
    targets = codec.encode(someone(skeleton, seed, size))
    cells = targets["coordinates"].astype(np.float64)
    last = np.array([size[1], size[0]]) / stride - 1
    reachable = np.clip(cells, 0, last)
    x, y = (
        np.clip(1 - np.abs(np.arange(int(last[axis]) + 1) - reachable[:, axis : axis + 1]), 0, 1)
        for axis in (0, 1)
    )
    assert np.abs(reachable - cells).max() <= 0.5
    np.testing.assert_allclose(decoded(codec, x, y), (reachable + 0.5) * stride - 0.5, atol=1e-9)


@pytest.mark.parametrize("name", SKELETONS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stride", [2, 4, 16])
@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_dsnt_round_trip(name, size, stride, seed):
    """Each keypoint moves inwards by just what the docstring says."""
    skeleton = Skeleton.load(name)
    people = someone(skeleton, seed, size)
    codec = DSNTCodec(skeleton, size, stride=stride)
    targets = codec.encode(people)
    seen = targets["weights"] > 0
    for axis in ("x", "y"):
        np.testing.assert_allclose(targets[axis].sum(1), targets["weights"], atol=1e-5)
        assert (targets[axis] >= 0).all()
    sigma = 2 * min(1, max(size) / stride / 64)
    cells = (people.keypoints[0, seen, :2] + 0.5) / stride - 0.5
    last = np.array([size[1], size[0]]) / stride - 1
    low, high = (sigma * (norm.pdf(d) - d * norm.cdf(-d)) for d in (cells / sigma, (last - cells) / sigma))
    expected = (cells + low - high + 0.5) * stride - 0.5
    found = decoded(codec, targets["x"], targets["y"])[seen]
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert (low[cells >= 0] <= 0.4 * sigma).all()
    assert low.max(initial=0) <= 1.08
    assert (low[cells >= 3 * sigma] < 1e-3).all()
    assert (np.abs(found - people.keypoints[0, seen, :2]) <= 1.08 * stride).all()


def test_a_gaussian_is_shared_between_cells(skeleton):
    """The cells' shares against numerical integration of the Gaussian times each cell's hat."""
    keypoints = np.zeros((1, 17, 3))
    keypoints[0, 0] = [33.0, 3.5, 2]
    targets = DSNTCodec(skeleton, (64, 48), stride=4).encode(make_people(keypoints))
    for axis, count, centre in (("x", 12, 7.875), ("y", 16, 0.5)):
        for cell in range(count):
            share = hat_share(norm(centre, 0.5), cell)
            beyond = (
                quad(partial(beyond_first, norm(centre, 0.5)), -12, 0, points=[-1])[0] if cell == 0 else 0
            )
            assert targets[axis][0, cell] == pytest.approx(share + beyond, abs=1e-6)


def hat_share(gaussian, cell):
    """The expectation of the hat function around a cell."""
    return quad(lambda t: gaussian.pdf(t) * max(0, 1 - abs(t - cell)), cell - 1, cell + 1, points=[cell])[0]


def beyond_first(gaussian, t):
    """What lies before cell 0 and is not shared with it."""
    return gaussian.pdf(t) * min(1, -t)


def test_sigma_follows_small_maps():
    assert [target_sigma(grid) for grid in [(64, 64), (64, 48), (128, 96), (32, 24), (8, 8)]] == [
        2,
        2,
        2,
        1,
        0.25,
    ]
    assert [score_radius(grid) for grid in [(64, 48), (12, 9)]] == [4, 1]


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_targets_of_the_mirrored_person_are_the_mirrored_targets(skeleton, seed):
    size = SIZES[0]
    people, flip = someone(skeleton, seed, size), list(skeleton.flip_index)
    codec = DSNTCodec(skeleton, size)
    plain, flipped = codec.encode(people), codec.encode(flip_people(people, size[1], skeleton.flip_index))
    np.testing.assert_array_equal(flipped["weights"], plain["weights"][flip])
    np.testing.assert_allclose(flipped["x"], plain["x"][flip][:, ::-1], atol=1e-6)
    np.testing.assert_allclose(flipped["y"], plain["y"][flip], atol=1e-6)
    seen = flipped["weights"] > 0
    np.testing.assert_allclose(
        flipped["coordinates"][seen, 0], 23 - plain["coordinates"][flip][seen, 0], atol=1e-5
    )


def test_scores_say_how_near_the_probability_lies(skeleton):
    codec = IntegralCodec(skeleton, (256, 192))
    maps = np.zeros((17, 64, 48))
    maps[0, 20, 30] = 1
    maps[1, 0, 0] = maps[1, 63, 47] = 0.5
    sigma_2 = [norm(middle, 2).pdf(np.arange(count)) for middle, count in ((31, 64), (24, 48))]
    maps[2] = np.outer(*sigma_2)
    candidates = codec.decode_maps({"probabilities": maps})
    keypoints = candidates["keypoints"][0]
    none = codec.anchors.none
    assert none == pytest.approx(2 * np.pi * 4**2 / (64 * 48), rel=1e-3)
    np.testing.assert_allclose(keypoints[:3, 2], [1, 0.001, (0.8 - none) / (1 - none)], atol=1e-6)
    np.testing.assert_allclose(keypoints[0, :2], [121.5, 81.5])
    np.testing.assert_allclose(keypoints[1, :2], [95.5, 127.5])
    np.testing.assert_allclose(candidates["scores"], (1.8 / 17 - none) / (1 - none), atol=1e-6)
    assert len(codec.group(candidates)) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"deconvolutions": 3}, "'deconvolutions'.* at most 2, got 3"),
        ({"deconvolutions": 2}, "'deconvolutions': 2 on maps of stride 2"),
        ({"beta": 0.0}, "'beta'.*: expected a number above 0, got 0"),
        ({"width": 0}, "'width'.*: expected a number of at least 1, got 0"),
    ],
)
def test_impossible_options_are_a_users_error(skeleton, options, message):
    with pytest.raises(UserError, match=message):
        DSNTCodec(skeleton, (64, 48), options, stride=2)
