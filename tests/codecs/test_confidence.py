"""The scale of scores: linear, limited, and poses in their order."""

import numpy as np
import pytest
import torch

from nas.codecs import Codec
from nas.codecs.confidence import PLAIN, Anchors, confidence, found_confidence, pose_confidence
from nas.codecs.regression import BRANCH
from nas.codecs.rle import RLECodec
from nas.codecs.simcc import SimCCCodec
from nas.errors import UserError

NARROW = Anchors(full=0.0758, none=0.0023)


@pytest.mark.parametrize("anchors", [PLAIN, BRANCH, NARROW])
@pytest.mark.parametrize("kind", [np.asarray, torch.tensor], ids=["numpy", "torch"])
def test_confidences_are_linear_between_the_anchors(anchors, kind):
    shares = np.array([-0.3, 0.0, 0.0005, 0.25, 0.5, 1.0, 1.4])
    found = confidence(kind(anchors.none + shares * (anchors.full - anchors.none)), anchors)
    np.testing.assert_allclose(found, [0.001, 0.001, 0.001, 0.25, 0.5, 1, 1], atol=1e-12)


@pytest.mark.parametrize("anchors", [PLAIN, BRANCH, NARROW])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_poses_keep_their_order_below_nothing_too(anchors, dtype):
    reach = anchors.full - anchors.none
    worse = np.linspace(anchors.none - 3 * reach, anchors.none, 50)
    better = np.linspace(anchors.none + 0.002 * reach, anchors.full, 50)
    found = pose_confidence(np.concatenate([worse, better]).astype(dtype), anchors)
    assert (np.diff(found) > 0).all()
    assert found[0] >= dtype(0.001)
    assert found[49] == pytest.approx(0.0011)
    np.testing.assert_allclose(found[50:], (better - anchors.none) / reach, rtol=1e-4)


@pytest.mark.parametrize(
    ("library", "kind"), [(np, np.asarray), (torch, torch.tensor)], ids=["numpy", "torch"]
)
def test_what_was_not_found_stays_so(library, kind):
    raw = kind([0.0, 1e-6, 0.4, 2.0])
    found = found_confidence(raw, PLAIN, library=library)
    assert type(found) is type(raw)
    np.testing.assert_allclose(found, [0, 0.001, 0.4, 1])


@pytest.mark.parametrize(("full", "none"), [(0.1, 0.1), (0.1, 0.2), (np.nan, 0.0), (np.inf, 0.0)])
def test_anchors_lie_apart(full, none):
    with pytest.raises(UserError, match="higher for its own target"):
        Anchors(full, none)


def test_a_codec_must_state_anchors(skeleton):
    class Silent(SimCCCodec):
        anchors = Codec.anchors

    with pytest.raises(UserError, match=r"Silent states no `anchors`.*adding-a-part"):
        Silent(skeleton, (64, 48))


def test_a_poses_confidence_is_made_of_the_mean_raw_score(skeleton):
    """The mean of limited confidences would rank other poses first."""
    codec = RLECodec(skeleton, (64, 48), {"score": "bce"})
    probabilities = np.linspace(0.02, 0.9, 17)
    logits = np.log(probabilities / (1 - probabilities))
    found = codec.decode_maps({"xy": np.zeros((17, 2)), "score_logits": logits})
    np.testing.assert_allclose(found["keypoints"][0, :, 2], np.clip(2 * probabilities - 1, 0.001, 1))
    np.testing.assert_allclose(found["scores"], pose_confidence(probabilities.mean(keepdims=True), BRANCH))


def test_padding_keeps_0_in_files_of_raw_scores(skeleton):
    codec = SimCCCodec(skeleton, (64, 48))
    keypoints = np.zeros((2, 17, 3), np.float32)
    keypoints[0] = [3, 4, 0.05]
    scaled = codec.confident({"keypoints": keypoints, "scores": np.array([0.05, 0], np.float32)})
    assert not scaled["keypoints"][1].any()
    assert scaled["scores"][1] == 0
    assert keypoints[0, 0, 2] == np.float32(0.05), "what is given stays as it is"
    expected = (0.05 - codec.anchors.none) / (codec.anchors.full - codec.anchors.none)
    np.testing.assert_allclose(scaled["keypoints"][0, :, 2], expected, rtol=1e-5)
    np.testing.assert_allclose(scaled["scores"][0], expected, rtol=1e-5)
    assert len(codec.group(scaled)) == 1
