"""Joining keypoints into people against plain references."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from plain_joining import plain_join, plain_pieces

from nas.codecs.limbs import join_limbs, join_pieces


@given(seed=st.integers(0, 2**32 - 1))
def test_joining_equals_the_plain_reference(seed):
    rng = np.random.default_rng(seed)
    limbs = ((0, 1), (1, 2), (2, 0), (2, 3), (4, 3))
    scores = rng.uniform(0.1, 1, (5, 4)) * (rng.random((5, 4)) < 0.7)
    affinities = rng.uniform(0.05, 1, (5, 4, 4)) * (rng.random((5, 4, 4)) < 0.5)
    ours, reference = (
        sorted((sorted(members), support) for members, support in join(scores, affinities, limbs))
        for join in (join_limbs, plain_join)
    )
    assert [members for members, _ in ours] == [members for members, _ in reference]
    np.testing.assert_allclose([support for _, support in ours], [support for _, support in reference])


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 14), spread=st.sampled_from([5.0, 30.0, 200.0]))
def test_joining_pieces_equals_the_plain_reference(seed, count, spread):
    rng = np.random.default_rng(seed)
    joints, telling = 6, ((0, 1), (4, 2))
    points = np.zeros((joints, count, 3))
    pieces = []
    for number in range(count):
        own = rng.permutation(joints)[: rng.integers(1, 5)]
        points[own, number, :2] = rng.uniform(0, spread, 2) + rng.uniform(0, 20, (len(own), 2))
        points[own, number, 2] = 1
        pieces.append(([(int(joint), number) for joint in own], float(rng.uniform(0, 3))))
    plain = [{joint: (*points[joint, k, :2], (joint, k)) for joint, k in members} for members, _ in pieces]
    expected = [sorted(member[2] for member in piece.values()) for piece in plain_pieces(plain, telling)]
    found = join_pieces(pieces, points, telling)
    assert sorted(sorted(members) for members, _ in found) == sorted(expected)
    support = {number: support for number, (_, support) in enumerate(pieces)}
    for members, total in found:
        np.testing.assert_allclose(total, sum(support[number] for number in {k for _, k in members}))


def test_pieces_of_one_place_have_no_size_and_join_nothing():
    points = np.zeros((4, 1, 3))
    points[2:, 0, :2] = 3.0
    pieces = [([(0, 0), (1, 0)], 1.0), ([(2, 0), (3, 0)], 1.0)]
    assert join_pieces(pieces, points) == pieces
    points[3, 0, :2] = 12.0
    assert len(join_pieces(pieces, points)) == 1


def test_a_limb_tells_a_lone_keypoint_from_a_piece_but_not_two_pieces():
    points = np.zeros((4, 1, 3))
    points[:, 0, 0] = [0, 10, 14, 24]
    telling = ((1, 2),)
    lone = [([(0, 0), (1, 0)], 1.0), ([(2, 0)], 0.0)]
    assert len(join_pieces(lone, points)) == 1
    assert join_pieces(lone, points, telling) == lone
    pieces = [([(0, 0), (1, 0)], 1.0), ([(2, 0), (3, 0)], 1.0)]
    assert len(join_pieces(pieces, points, telling)) == 1
