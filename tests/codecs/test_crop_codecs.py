import numpy as np
import pytest
from codec_people import flip_people, inside, make_people, random_people
from hypothesis import given
from hypothesis import strategies as st

from nas.codecs.heatmap import HeatmapCodec
from nas.codecs.simcc import SimCCCodec, bin_sigma
from nas.errors import UserError

SIZE = (128, 96)


def round_trip(codec, people):
    return codec.group(codec.decode_maps(codec.encode(people)))


@pytest.mark.parametrize("stride", [2, 4, 8])
@given(seed=st.integers(0, 2**32 - 1))
def test_heatmap_round_trip(skeleton, stride, seed):
    people = random_people(np.random.default_rng(seed), count=1, joints=17, size=SIZE)
    codec = HeatmapCodec(skeleton, SIZE, stride=stride)
    encoded = codec.encode(people)
    np.testing.assert_array_equal(encoded["weights"], inside(people.keypoints[0], SIZE))
    poses = round_trip(codec, people)
    seen = encoded["weights"] > 0
    if not seen.any():
        assert (poses.keypoints[..., 2] == 0.001).all()
        return
    truth = people.keypoints[0, seen, :2]
    cells = (truth + 0.5) / stride - 0.5
    outermost = (cells < 0.5) | (cells > np.array([SIZE[1], SIZE[0]]) / stride - 1.5)
    error = np.abs(poses.keypoints[0, seen, :2] - truth)
    assert (error <= np.where(outermost, 0.75, 0.25) * stride + 1e-3).all()


@pytest.mark.parametrize("label", ["gaussian", "onehot"])
@pytest.mark.parametrize("split", [1, 2, 3])
@given(seed=st.integers(0, 2**32 - 1))
def test_simcc_round_trip(skeleton, label, split, seed):
    people = random_people(np.random.default_rng(seed), count=1, joints=17, size=SIZE)
    codec = SimCCCodec(skeleton, SIZE, {"split": split, "label": label})
    encoded = codec.encode(people)
    assert encoded["x"].shape == (17, SIZE[1] * split)
    assert encoded["y"].shape == (17, SIZE[0] * split)
    seen = encoded["weights"] > 0
    np.testing.assert_array_equal(seen, inside(people.keypoints[0], SIZE))
    error = np.abs(round_trip(codec, people).keypoints[0, seen, :2] - people.keypoints[0, seen, :2])
    assert (error <= 0.5 / split + 1e-6).all()


@given(seed=st.integers(0, 2**32 - 1))
def test_targets_of_the_mirrored_person_are_the_mirrored_targets(skeleton, seed):
    people = random_people(np.random.default_rng(seed), count=1, joints=17, size=SIZE)
    flip = list(skeleton.flip_index)
    mirrored = flip_people(people, SIZE[1], skeleton.flip_index)
    for codec, name in (
        (HeatmapCodec(skeleton, SIZE), "heatmaps"),
        (SimCCCodec(skeleton, SIZE, {"split": 2}), "x"),
    ):
        plain, flipped = codec.encode(people), codec.encode(mirrored)
        np.testing.assert_allclose(flipped[name], plain[name][flip][..., ::-1], atol=1e-6)
        np.testing.assert_array_equal(flipped["weights"], plain["weights"][flip])


def test_gaussian_is_at_the_exact_place(skeleton):
    keypoints = np.zeros((1, 17, 3))
    keypoints[0, 3] = [41.0, 22.5, 1]
    heatmap = HeatmapCodec(skeleton, SIZE).encode(make_people(keypoints))["heatmaps"]
    x, y = (41.0 + 0.5) / 4 - 0.5, (22.5 + 0.5) / 4 - 0.5
    assert heatmap[3, 6, 9] == pytest.approx(np.exp(-((9 - x) ** 2 + (6 - y) ** 2) / 8), rel=1e-5)
    assert heatmap[[0, 1, 2, 4]].max() == 0


def test_simcc_sigma_is_rtmposes():
    assert [round(bin_sigma(bins), 2) for bins in (384, 512, 576, 768)] == [4.9, 5.66, 6.0, 6.93]


def test_simcc_scores_are_probabilities(skeleton):
    codec = SimCCCodec(skeleton, SIZE, {"split": 2})
    logits = {"x": np.zeros((17, 192)), "y": np.zeros((17, 256))}
    logits["x"][:, 7] = logits["y"][:, 9] = 50.0
    candidates = codec.decode_maps(logits)
    np.testing.assert_allclose(candidates["keypoints"][0], np.tile([3.25, 4.25, 1.0], (17, 1)))
    np.testing.assert_allclose(candidates["scores"], [1.0])


def test_unknown_simcc_label_is_a_users_error(skeleton):
    with pytest.raises(UserError, match=r"triangle.*gaussian, onehot"):
        SimCCCodec(skeleton, SIZE, {"label": "triangle"})


def test_a_crop_holds_one_person(skeleton):
    with pytest.raises(ValueError, match="one person, got 2"):
        HeatmapCodec(skeleton, SIZE).encode(make_people(np.ones((2, 17, 3))))


def test_padding_is_dropped(skeleton):
    candidates = {"keypoints": np.ones((3, 17, 3)), "scores": np.array([0.5, 0.0, 0.2])}
    poses = SimCCCodec(skeleton, SIZE).group(candidates)
    np.testing.assert_allclose(poses.scores, [0.5, 0.2])


def test_resolution_must_fit_the_stride(skeleton):
    with pytest.raises(ValueError, match="not a multiple of stride 8"):
        HeatmapCodec(skeleton, (100, 96), stride=8).encode(make_people(np.ones((1, 17, 3))))
