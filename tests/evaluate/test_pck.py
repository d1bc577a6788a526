import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import UserError
from nas.evaluate import match_people, pck
from nas.space.skeleton import PckSegments, Skeleton

STICK = Skeleton(
    "stick", ("shoulder", "hip", "hand"), (), (0.1, 0.1, 0.1), pck=PckSegments(torso=("shoulder", "hip"))
)


def test_hand_computed():
    truth = np.array([[[0, 0, 2], [0, 10, 2], [5, 5, 1]], [[0, 0, 2], [0, 20, 2], [9, 9, 0]]], float)
    found = truth.copy()
    found[0, 2, 0] += 3
    found[1, 0, 0] += 3
    figures = pck(found, truth, STICK, thresholds=(0.5, 0.2, 0.1))
    assert figures == {
        "PCK_torso@0.5": 1.0,
        "PCK_torso@0.5/shoulder": 1.0,
        "PCK_torso@0.5/hip": 1.0,
        "PCK_torso@0.5/hand": 1.0,
        "PCK_torso@0.2": 0.8,
        "PCK_torso@0.2/shoulder": 1.0,
        "PCK_torso@0.2/hip": 1.0,
        "PCK_torso@0.2/hand": 0.0,
        "PCK_torso@0.1": 0.6,
        "PCK_torso@0.1/shoulder": 0.5,
        "PCK_torso@0.1/hip": 1.0,
        "PCK_torso@0.1/hand": 0.0,
    }


def test_people_without_reference_are_left_out_and_missing_poses_are_wrong():
    truth = np.array([[[0, 0, 2], [0, 10, 0], [5, 5, 2]], [[0, 0, 2], [0, 20, 2], [9, 9, 2]]], float)
    assert pck(truth, truth, STICK, thresholds=(0.2,))["PCK_torso@0.2"] == 1
    assert pck(np.full(truth.shape, np.nan), truth, STICK, thresholds=(0.2,))["PCK_torso@0.2"] == 0
    assert pck(truth[:1], truth[:1], STICK, thresholds=(0.2,)) == {"PCK_torso@0.2": -1.0}


def test_skeleton_without_the_segment_is_refused():
    with pytest.raises(UserError, match="'stick' names no head segment"):
        pck(np.zeros((1, 3, 2)), np.zeros((1, 3, 3)), STICK, reference="head")


@given(seed=st.integers(0, 2**32 - 1), people=st.integers(1, 6), extra=st.integers(0, 4))
def test_matching_finds_everyone_in_any_order(seed, people, extra):
    rng = np.random.default_rng(seed)
    truth = np.concatenate([rng.uniform(0, 20, (people, 3, 2)), np.full((people, 3, 1), 2.0)], axis=-1)
    truth[..., 0] += 100 * np.arange(people)[:, None]
    strangers = truth[:1].repeat(extra, 0) + np.array([0, 5000, 0])
    found = np.concatenate([truth + rng.normal(0, 0.5, truth.shape), strangers])
    order = rng.permutation(len(found))
    answers = match_people(found[order], truth, areas=np.full(people, 400.0), skeleton=STICK)
    np.testing.assert_allclose(answers, found[:people])


def test_a_person_whom_nobody_found_has_no_answer():
    truth = np.array([[[0, 0, 2], [0, 10, 2], [5, 5, 2]]], float)
    answers = match_people(truth + np.array([9e4, 0, 0]), truth, areas=np.array([100.0]), skeleton=STICK)
    assert np.isnan(answers).all()
    nobody = match_people(np.zeros((0, 3, 3)), truth, areas=np.array([100.0]), skeleton=STICK)
    assert np.isnan(nobody).all()
