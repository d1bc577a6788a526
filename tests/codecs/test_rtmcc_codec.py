"""RTMPose's codec: SimCC's targets with a temperature."""

import numpy as np
import pytest
from codec_people import flip_people, inside, make_people, random_people
from hypothesis import given
from hypothesis import strategies as st

from nas.codecs.rtmcc import RTMCCCodec
from nas.codecs.simcc import SimCCCodec
from nas.space.skeleton import Skeleton

SIZE = (128, 96)


@pytest.mark.parametrize("size", [SIZE, (256, 192), (64, 64)])
@pytest.mark.parametrize("skeleton_name", ["coco17", "crowdpose14", "mpii16"])
@pytest.mark.parametrize("split", [1, 2, 3])
@given(seed=st.integers(0, 2**32 - 1))
def test_round_trip_is_within_half_a_bin(size, skeleton_name, split, seed):
    skeleton = Skeleton.load(skeleton_name)
    joints = len(skeleton.keypoints)
    people = random_people(np.random.default_rng(seed), count=1, joints=joints, size=size)
    codec = RTMCCCodec(skeleton, size, {"split": split, "hidden": 64})
    encoded = codec.encode(people)
    assert encoded["x"].shape == (joints, size[1] * split)
    assert encoded["y"].shape == (joints, size[0] * split)
    seen = encoded["weights"] > 0
    np.testing.assert_array_equal(seen, inside(people.keypoints[0], size))
    poses = codec.group(codec.decode_maps(encoded))
    error = np.abs(poses.keypoints[0, seen, :2] - people.keypoints[0, seen, :2])
    assert (error <= 0.5 / split + 1e-6).all()


def test_each_axis_has_its_own_sigma(skeleton):
    keypoints = np.zeros((1, 17, 3))
    keypoints[0, 3] = [40.25, 80.25, 1]
    encoded = RTMCCCodec(skeleton, (256, 192), {"split": 2}).encode(make_people(keypoints))
    for axis, centre, bins in (("x", 81, 384), ("y", 161, 512)):
        sigma = np.sqrt(bins) / 4
        expected = np.exp(-((np.arange(bins) - centre) ** 2) / (2 * sigma**2))
        np.testing.assert_allclose(encoded[axis][3], expected, atol=1e-6)
        assert not encoded[axis][[0, 1, 2, 4]].any()


@given(seed=st.integers(0, 2**32 - 1))
def test_targets_are_simccs_and_mirror_with_the_person(skeleton, seed):
    people = random_people(np.random.default_rng(seed), count=1, joints=17, size=SIZE)
    encoded = RTMCCCodec(skeleton, SIZE).encode(people)
    for name, value in SimCCCodec(skeleton, SIZE).encode(people).items():
        np.testing.assert_array_equal(encoded[name], value)
    mirrored = RTMCCCodec(skeleton, SIZE).encode(flip_people(people, SIZE[1], skeleton.flip_index))
    flip = list(skeleton.flip_index)
    np.testing.assert_allclose(mirrored["x"], encoded["x"][flip][:, ::-1], atol=1e-6)
    np.testing.assert_allclose(mirrored["y"], encoded["y"][flip], atol=1e-6)


def test_scores_are_made_of_probabilities_at_the_temperature(skeleton):
    """One bin of 0.4 among zeros: e^4 / (e^4 + bins - 1); a constant added to all bins changes nothing."""
    codec = RTMCCCodec(skeleton, SIZE, {"split": 2})
    outputs = {"x": np.zeros((17, 192)), "y": np.zeros((17, 256))}
    outputs["x"][:, 7] = outputs["y"][:, 9] = 0.4
    candidates = codec.decode_maps(outputs)
    likely = [np.exp(4) / (np.exp(4) + bins - 1) for bins in (192, 256)]
    none = 1 / np.sqrt(192 * 256)
    expected = (np.sqrt(np.prod(likely)) - none) / (codec.anchors.full - none)
    assert 0.5 < expected < 0.9
    np.testing.assert_allclose(candidates["keypoints"][0], np.tile([3.25, 4.25, expected], (17, 1)))
    np.testing.assert_allclose(candidates["scores"], [expected])
    moved = codec.decode_maps({axis: vector + 0.3 for axis, vector in outputs.items()})
    np.testing.assert_allclose(moved["keypoints"], candidates["keypoints"])
