"""Regressed coordinates, with and without deviations."""

import numpy as np
import pytest
from codec_people import flip_people, make_people, random_people
from hypothesis import given
from hypothesis import strategies as st

from nas.codecs.regression import RegressionCodec
from nas.codecs.rle import MIN_SIGMA, RLECodec
from nas.errors import UserError
from nas.space.skeleton import Skeleton

SIZE = (128, 96)
LONELY = Skeleton("two_dots", ("here", "there"), (), (0.05, 0.1))
SKELETONS = [Skeleton.load("coco17"), Skeleton.load("crowdpose14"), LONELY]
CODECS = [RegressionCodec, RLECodec]
ANYBODY = make_people(np.ones((1, 17, 3)))
UNSURE = {"sigma_logits": np.zeros((17, 2))}


@pytest.mark.parametrize("kind", CODECS)
@pytest.mark.parametrize("skeleton", SKELETONS, ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize("size", [(128, 96), (96, 64), (200, 328)])
@given(seed=st.integers(0, 2**32 - 1), margin=st.sampled_from([0, 40, 4000]))
def test_round_trip(kind, skeleton, size, seed, margin):
    """Joints far outside of the input too; those without a label give targets that are finite and weigh 0."""
    joints = len(skeleton)
    people = random_people(np.random.default_rng(seed), count=1, joints=joints, size=size, margin=margin)
    keypoints = people.keypoints[0]
    keypoints[keypoints[:, 2] == 0, :2] = np.nan
    codec = kind(skeleton, size)
    targets = codec.encode(people)
    labelled = keypoints[:, 2] > 0
    np.testing.assert_array_equal(targets["weights"], labelled)
    assert np.isfinite(targets["xy"]).all()
    assert {value.dtype for value in targets.values()} == {np.dtype(np.float32)}
    poses = codec.group(codec.decode_maps({**targets, "sigma_logits": np.zeros((joints, 2))}))
    found, truth = poses.keypoints[0, labelled, :2], keypoints[labelled, :2]
    height, width = size
    reach = np.maximum(np.abs(truth - np.array([width, height]) / 2), max(size))
    assert (np.abs(found - truth) <= 1e-6 * reach).all()


def test_the_inputs_borders_are_at_half(skeleton):
    keypoints = np.full((1, 17, 3), 1.0)
    keypoints[0, :3, :2] = [[-0.5, -0.5], [95.5, 127.5], [47.5, 63.5]]
    xy = RegressionCodec(skeleton, SIZE).encode(make_people(keypoints))["xy"]
    np.testing.assert_allclose(xy[:3], [[-0.5, -0.5], [0.5, 0.5], [0, 0]])


@given(seed=st.integers(0, 2**32 - 1))
def test_mirroring_changes_the_sign_of_x(skeleton, seed):
    people = random_people(np.random.default_rng(seed), count=1, joints=17, size=SIZE)
    flip = list(skeleton.flip_index)
    codec = RegressionCodec(skeleton, SIZE)
    plain, flipped = codec.encode(people), codec.encode(flip_people(people, SIZE[1], skeleton.flip_index))
    np.testing.assert_allclose(flipped["xy"], plain["xy"][flip] * [-1, 1], atol=1e-6)
    np.testing.assert_array_equal(flipped["weights"], plain["weights"][flip])


def test_limbs_count_where_both_ends_are_labelled(skeleton):
    people = random_people(np.random.default_rng(3), count=1, joints=17, size=SIZE)
    weights = RegressionCodec(skeleton, SIZE, {"bone": 0.5}).encode(people)["limb_weights"]
    labelled = {name for name, row in zip(skeleton.keypoints, people.keypoints[0], strict=True) if row[2] > 0}
    expected = [0.5 * (start in labelled and end in labelled) for start, end in skeleton.limbs]
    np.testing.assert_array_equal(weights, np.float32(expected))
    assert 0 < weights.sum() < 0.5 * len(weights)
    assert "limb_weights" not in RegressionCodec(skeleton, SIZE).encode(people)


def test_how_a_score_branch_learns_is_a_number(skeleton):
    people = random_people(np.random.default_rng(0), count=1, joints=17, size=SIZE)
    for score, focus in (("bce", 0), ("quality_focal", 2)):
        targets = RLECodec(skeleton, SIZE, {"score": score}).encode(people)
        assert targets["focus"] == focus
        assert targets["areas"] == np.float32(people.areas[0])
    targets = RLECodec(skeleton, SIZE, {"gamma": 0.5}).encode(people)
    assert targets["gamma"] == 0.5
    assert targets.keys() == {"xy", "weights", "gamma"}


def test_scores(skeleton):
    xy = {"xy": np.zeros((17, 2))}
    assert RegressionCodec(skeleton, SIZE).decode_maps(xy)["scores"] == 1
    sure = RLECodec(skeleton, SIZE).decode_maps({**xy, "sigma_logits": np.full((17, 2), -100.0)})
    np.testing.assert_allclose(sure["scores"], 1)
    tenth = RLECodec(skeleton, SIZE).decode_maps({**xy, "sigma_logits": np.full((17, 2), -np.log(9.0))})
    sigma = MIN_SIGMA + (1 - MIN_SIGMA) / 10
    np.testing.assert_allclose(tenth["scores"], (0.25 - sigma) / (0.25 - MIN_SIGMA))
    logits = np.log(np.arange(1.0, 18.0))  # sigmoid(log n) = n / (n + 1)
    scored = RLECodec(skeleton, SIZE, {"score": "bce"}).decode_maps({**xy, **UNSURE, "score_logits": logits})
    expected = np.arange(1, 18) / np.arange(2, 19)
    np.testing.assert_allclose(scored["keypoints"][0, :, 2], np.clip(2 * expected - 1, 0.001, 1))
    np.testing.assert_allclose(scored["scores"], [2 * expected.mean() - 1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": "luck"}, "'luck' is unknown; choose one of none, bce, quality_focal"),
        ({"score": "sigma"}, "'sigma' is unknown"),
        ({"dropout": 1.0}, "'dropout'.* at least 0 and below 1, got 1"),
        ({"bone": -1.0}, "'bone'.* at least 0, got -1"),
        ({"bone": float("nan")}, "'bone'.* got nan"),
    ],
)
def test_a_wrong_option_is_a_users_error(skeleton, options, message):
    with pytest.raises(UserError, match=message):
        RegressionCodec(skeleton, SIZE, options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": "none"}, "'none' is unknown; choose one of sigma, bce, quality_focal"),
        ({"maps": "many"}, "'many' is unknown; choose one of shared, separate"),
        ({"gamma": -0.5}, "'gamma'.* at least 0"),
    ],
)
def test_a_wrong_option_of_rle_is_a_users_error(skeleton, options, message):
    with pytest.raises(UserError, match=message):
        RLECodec(skeleton, SIZE, options)


def test_bones_need_limbs():
    with pytest.raises(UserError, match="'two_dots' names no limbs"):
        RegressionCodec(LONELY, SIZE, {"bone": 1.0}).encode(make_people(np.ones((1, 2, 3))))
