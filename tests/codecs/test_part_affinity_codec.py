"""Part affinity fields: round trips of crowds, targets by hand, grouping against a plain reference."""

import numpy as np
import pytest
from codec_people import flip_people, inside, make_people, random_people
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from nas.codecs.limb_sets import LIMB_SETS
from nas.codecs.limbs import join_limbs
from nas.codecs.maps import gaussian_shift
from nas.codecs.part_affinity import PartAffinityCodec
from nas.codecs.types import People
from nas.space.skeleton import Skeleton, skeleton_names

SIZE = (320, 384)
TILE = 64
BOUND = 0.1
LETTERS = ("a", "b", "c", "d")
CHAIN = Skeleton("chain", LETTERS, (), (0.1,) * 4, limbs=(("a", "b"), ("b", "c"), ("c", "d")))


@pytest.fixture(
    scope="module", params=[(name, "skeleton") for name in skeleton_names()] + [("coco17", "bridged")]
)
def codec(request):
    skeleton, limbs = request.param
    return PartAffinityCodec(Skeleton.load(skeleton), SIZE, {"limbs": limbs})


def crowd(rng, count, joints):
    """People in tiles of their own, alike but for 8 px; some joints unlabelled, some outside."""
    columns, rows = SIZE[1] // TILE, SIZE[0] // TILE
    tiles = rng.permutation(columns * rows)[:count]
    corner = np.stack([tiles % columns, tiles // columns], axis=-1) * TILE
    places = corner[:, None] + rng.uniform(-4, 52, (joints, 2)) + rng.uniform(0, 8, (count, joints, 2))
    return make_people(np.concatenate([places, rng.integers(0, 3, (count, joints, 1))], axis=-1))


def empty_people(joints):
    return People(np.zeros((0, joints, 3)), np.zeros(0), np.zeros((0, 4)))


def parts(people, limbs):
    """[K, 3] of each set of three or more joints inside the input that limbs hold together; 0 elsewhere."""
    found = []
    for pose, here in zip(people.keypoints, inside(people.keypoints, SIZE), strict=True):
        left = set(np.flatnonzero(here).tolist())
        while left:
            part = {left.pop()}
            while grown := {j for limb in limbs if part & set(limb) for j in limb} & left:
                part |= grown
                left -= grown
            if len(part) >= 3:
                found.append(np.where(np.isin(np.arange(len(pose)), list(part))[:, None], pose, 0))
    return np.array(found).reshape(-1, len(people.keypoints[0]), 3)


def round_trip(codec, people):
    return codec.group(codec.decode_maps(codec.encode(people)))


def assert_found(poses, expected):
    assert len(poses) == len(expected)
    seen, wanted = poses.keypoints[..., 2] > 0, expected[..., 2] > 0
    error = np.abs(poses.keypoints[:, None, :, :2] - expected[None, :, :, :2]).max((2, 3))
    other = (seen[:, None] != wanted[None]).any(2)
    rows, columns = linear_sum_assignment(error + 1e4 * other)
    assert not other[rows, columns].any()
    assert (error[rows, columns] <= BOUND).all()


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 30))
def test_what_limbs_hold_together_comes_back_in_one_pose(codec, seed, count):
    people = crowd(np.random.default_rng(seed), count, codec.keypoints)
    poses, expected = round_trip(codec, people), parts(people, codec.limbs)
    error = np.abs(poses.keypoints[:, None, :, :2] - expected[None, :, :, :2]).max(3)
    error[:, expected[..., 2] == 0] = 0
    assert (error.max(2).min(0, initial=np.inf) <= BOUND).all()


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 30))
def test_whole_people_come_back_whole(codec, seed, count):
    people = crowd(np.random.default_rng(seed), count, codec.keypoints)
    people.keypoints[..., :2] = np.clip(people.keypoints[..., :2], -0.49, np.array(SIZE[::-1]) - 0.51)
    people.keypoints[..., 2] = 2
    poses = round_trip(codec, people)
    assert len(poses) == count
    assert (poses.scores > 0.8).all()
    assert_found(poses, people.keypoints)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 40))
def test_overlapping_people_share_no_joint(codec, seed, count):
    """People anywhere, over each other: poses are made of candidates, none of them used twice, best first."""
    rng = np.random.default_rng(seed)
    joints = codec.keypoints
    people = random_people(rng, count=count, joints=joints, size=SIZE) if count else empty_people(joints)
    candidates = codec.decode_maps(codec.encode(people))
    poses = codec.group(candidates)
    assert (np.diff(poses.scores) <= 0).all()
    assert ((poses.keypoints[..., 2] > 0).sum(1) >= 3).all()
    for joint in range(joints):
        used = poses.keypoints[poses.keypoints[:, joint, 2] > 0, joint]
        known = {tuple(row) for row in candidates["candidates"][joint] if row[2] > 0}
        assert {tuple(row) for row in used} <= known
        assert len({tuple(row) for row in used}) == len(used)


@pytest.mark.parametrize("angle", range(40, 160, 20))
def test_people_who_cross_are_told_apart(angle):
    """Two chains through one point, whose middle limbs lie across each other."""
    codec = PartAffinityCodec(CHAIN, SIZE)
    reach = np.array([-120.0, -75.0, 75.0, 120.0])[:, None]
    directions = np.array([[1.0, 0.0], [np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))]])
    places = np.array([190.3, 160.8]) + reach * directions[:, None]
    people = make_people(np.concatenate([places, np.full((2, 4, 1), 2.0)], axis=-1))
    assert_found(round_trip(codec, people), people.keypoints)


def test_nobody_is_found_in_empty_maps(codec):
    targets = codec.encode(empty_people(codec.keypoints))
    assert targets["heatmaps"][:-1].max() == 0
    assert targets["heatmaps"][-1].min() == 1
    assert not targets["affinities"].any()
    poses = codec.group(codec.decode_maps(targets))
    assert poses.keypoints.shape == (0, codec.keypoints, 3)
    assert poses.scores.shape == (0,)


def test_targets_have_fixed_shapes(codec):
    rng = np.random.default_rng(3)
    joints, limbs = codec.keypoints, len(codec.limbs)
    for count in (1, 30, 45):
        people = random_people(rng, count=count, joints=joints, size=SIZE)
        targets = codec.encode(people)
        assert {name: (value.shape, value.dtype.name) for name, value in targets.items()} == {
            "heatmaps": ((joints + 1, 40, 48), "float32"),
            "affinities": ((2 * limbs, 40, 48), "float32"),
            "mask": ((40, 48), "float32"),
        }
        found = codec.decode_maps(targets)
        assert {name: value.shape for name, value in found.items()} == {
            "candidates": (joints, 30, 3),
            "affinities": (limbs, 30, 30),
        }


def test_fields_by_hand():
    """A limb from cell (2, 3) to (6, 3) is x within one cell; with one that goes up, the mean of both."""
    codec = PartAffinityCodec(CHAIN, (64, 80))
    keypoints = np.zeros((2, 4, 3))
    keypoints[0, :2] = [[19.5, 27.5, 2], [51.5, 27.5, 2]]
    keypoints[1, :2] = [[35.5, 51.5, 2], [35.5, 3.5, 2]]
    one = codec.encode(make_people(keypoints[:1]))["affinities"]
    expected = np.zeros((8, 10))
    expected[2:5, 2:7] = expected[3, 1] = expected[3, 7] = 1
    np.testing.assert_allclose(one[0], expected, atol=1e-6)
    assert not one[1:].any()
    both = codec.encode(make_people(keypoints))["affinities"]
    np.testing.assert_allclose(both[[0, 3], 3, 4], [0.5, -0.5], atol=1e-6)
    np.testing.assert_allclose(both[[0, 3], 3, 2], [1, 0], atol=1e-6)
    np.testing.assert_allclose(both[[0, 3], 6, 4], [0, -1], atol=1e-6)


def test_gaussians_are_seven_pixels_wide_and_background_is_the_rest():
    codec = PartAffinityCodec(CHAIN, (64, 80))
    keypoints = np.zeros((1, 4, 3))
    keypoints[0, 2] = [30.0, 22.5, 1]
    heatmaps = codec.encode(make_people(keypoints))["heatmaps"]
    x, y = 4 * 8 + 3.5 - 30.0, 3 * 8 + 3.5 - 22.5
    assert heatmaps[2, 3, 4] == pytest.approx(np.exp(-(x**2 + y**2) / (2 * 7**2)), rel=1e-5)
    np.testing.assert_allclose(heatmaps[4], 1 - heatmaps[2], atol=1e-6)


@given(seed=st.integers(0, 2**32 - 1))
def test_targets_of_the_mirrored_people_are_the_mirrored_targets(codec, seed):
    rng = np.random.default_rng(seed)
    people = random_people(rng, count=5, joints=codec.keypoints, size=SIZE)
    people = People(people.keypoints, people.areas, people.boxes, rng.random(SIZE) < 0.5)
    flip = codec.skeleton.flip_index
    plain, mirrored = codec.encode(people), codec.encode(flip_people(people, SIZE[1], flip))
    np.testing.assert_allclose(
        mirrored["heatmaps"], plain["heatmaps"][[*flip, codec.keypoints]][..., ::-1], atol=1e-6
    )
    np.testing.assert_array_equal(mirrored["mask"], plain["mask"][:, ::-1])
    fields, others = (targets["affinities"].reshape(2, -1, *codec.grid(8)) for targets in (plain, mirrored))
    for limb, (start, end) in enumerate(codec.limbs):
        pair = (flip[start], flip[end])
        forth = pair in codec.limbs
        partner = codec.limbs.index(pair if forth else pair[::-1])
        x, y = fields[:, partner, :, ::-1] * (1 if forth else -1)
        np.testing.assert_allclose(others[:, limb], [-x, y], atol=1e-6)


def test_labelled_people_count_inside_an_unlabelled_region():
    codec = PartAffinityCodec(CHAIN, (64, 80))
    keypoints = np.zeros((1, 4, 3))
    keypoints[0, :2] = [[11.5, 35.5, 2], [67.5, 35.5, 2]]
    people = make_people(keypoints)
    targets = codec.encode(People(people.keypoints, people.areas, people.boxes, np.zeros((64, 80), bool)))
    drawn = (targets["heatmaps"][:-1] > 0).any(0) | (targets["affinities"] != 0).any(0)
    np.testing.assert_array_equal(targets["mask"], drawn)
    assert targets["mask"][4, 5] == 1  # on the limb, three cells from either joint
    assert 0 < drawn.mean() < 1


@given(
    offset=st.tuples(st.floats(-0.499, 0.499), st.floats(-0.499, 0.499)),
    cell=st.tuples(st.sampled_from([0, 1, 5, 9]), st.sampled_from([0, 1, 4, 7])),
    sigma=st.floats(0.7, 3),
    height=st.floats(0.2, 1),
)
def test_a_gaussians_top_is_found_exactly(offset, cell, sigma, height):
    x, y = cell[0] + offset[0], cell[1] + offset[1]
    columns, rows = np.arange(10), np.arange(8)[:, None]
    bell = height * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))[None]
    found = gaussian_shift(
        bell, np.array([0]), np.array([cell[0]]), np.array([cell[1]]), sigma=sigma, lowest=1e-3
    )
    np.testing.assert_allclose(found, [[x, y]], atol=1e-9)


def test_a_pose_scores_by_its_joints_and_limbs():
    codec = PartAffinityCodec(CHAIN, SIZE)
    points, affinities = np.zeros((4, 30, 3)), np.zeros((3, 30, 30))
    points[:3, 0] = [[10, 10, 0.9], [20, 10, 0.5], [30, 10, 0.7]]
    affinities[:2, 0, 0] = [0.6, 0.4]
    poses = codec.group({"candidates": points, "affinities": affinities})
    assert poses.scores == pytest.approx([(0.9 + 0.5 + 0.7 + 0.6 + 0.4) / 7])
    np.testing.assert_allclose(poses.keypoints[0], points[:, 0])


def test_what_is_not_finite_is_no_candidate():
    codec = PartAffinityCodec(CHAIN, SIZE)
    points, affinities = np.zeros((4, 30, 3)), np.full((3, 30, 30), np.nan)
    points[:, 0] = [[10, 10, 0.9], [20, 10, 0.5], [30, 10, 0.7], [np.nan, 10, 0.8]]
    affinities[:, 0, 0] = 0.6
    poses = codec.group({"candidates": points, "affinities": affinities})
    np.testing.assert_array_equal(poses.keypoints[:, :, 2], [[0.9, 0.5, 0.7, 0]])


def test_whom_no_chain_of_limbs_holds_together_is_one_pose_still(skeleton):
    """COCO's right shoulder is missing: limbs lose the arm, which is near to the rest."""
    codec = PartAffinityCodec(skeleton, SIZE)
    people = crowd(np.random.default_rng(1), 1, 17)
    people.keypoints[..., :2] = people.keypoints[..., :2].clip(1, 300)
    people.keypoints[0, :, 2] = 2
    people.keypoints[0, skeleton.index("right_shoulder"), 2] = 0
    candidates = codec.decode_maps(codec.encode(people))
    by_limbs = join_limbs(candidates["candidates"][..., 2], candidates["affinities"], codec.limbs)
    assert sorted(len(members) for members, _ in by_limbs) == [2, 14]
    poses = codec.group(candidates)
    assert len(poses) == 1
    missing = {skeleton.keypoints[joint] for joint in np.flatnonzero(poses.keypoints[0, :, 2] == 0)}
    assert missing == {"right_shoulder"}


def test_bridges_hold_together_whom_limbs_do_not(skeleton):
    """Of COCO's skeleton ear and knees are hidden: neither eye nor ankles are joined to the rest."""
    people = make_people(np.zeros((1, 17, 3)))
    for number, name in enumerate(("left_eye", "left_shoulder", "left_hip", "left_ankle", "right_ankle")):
        people.keypoints[0, skeleton.index(name)] = [60 + 10 * number, 20 + 60 * number, 2]
    counts = {}
    for limbs in LIMB_SETS:
        codec = PartAffinityCodec(skeleton, SIZE, {"limbs": limbs, "fewest": 1})
        candidates = codec.decode_maps(codec.encode(people))
        by_limbs = join_limbs(candidates["candidates"][..., 2], candidates["affinities"], codec.limbs)
        counts[limbs] = sorted(len(members) for members, _ in by_limbs)
    assert counts == {"skeleton": [1, 1, 1, 2], "mirrored": [1, 2, 2], "bridged": [5]}


@pytest.mark.parametrize(("fewest", "found"), [(1, 3), (2, 2), (3, 1)])
def test_poses_of_fewer_keypoints_are_dropped_and_rank_last(fewest, found):
    keypoints = np.zeros((3, 4, 3))
    for number in range(3):
        keypoints[number, : number + 1] = [
            [40 + 40 * joint, 40 + 100 * number, 2] for joint in range(number + 1)
        ]
    codec = PartAffinityCodec(CHAIN, SIZE, {"fewest": fewest})
    poses = round_trip(codec, make_people(keypoints))
    assert (poses.keypoints[..., 2] > 0).sum(1).tolist() == [3, 2, 1][:found]
