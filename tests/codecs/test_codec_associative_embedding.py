import numpy as np
import pytest
from codec_people import flip_people, inside, make_people, random_people
from hypothesis import given
from hypothesis import strategies as st
from plain_grouping import munkres, plain_match
from scipy.optimize import linear_sum_assignment

from nas.codecs.associative_embedding import (
    AssociativeEmbeddingCodec,
    drop_twins,
    fill_missing,
    match_by_tags,
)
from nas.codecs.types import People

SIZE = (256, 320)


@pytest.fixture(scope="module")
def codec(skeleton):
    return AssociativeEmbeddingCodec(skeleton, SIZE)


def spread_people(rng, count, joints=17):
    """People whose same joints lie 40 px apart at least, some joints unlabelled, some at the border."""
    columns, rows = 8, 6
    cells = rng.permutation(columns * rows)[:count]
    corner = np.stack([cells % columns * 40, cells // columns * 40], axis=-1)
    places = corner[:, None] + rng.uniform(-0.49, 4, (count, joints, 2))
    keypoints = np.concatenate([places, rng.integers(0, 3, (count, joints, 1))], axis=-1)
    keypoints[:, 0, 2] = 2
    return make_people(keypoints)


def ideal_outputs(codec, people):
    return {**codec.encode(people), "tags": codec.ideal_tags(people)}


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 30))
def test_round_trip_gives_everyone_back(codec, seed, count):
    people = spread_people(np.random.default_rng(seed), count)
    poses = codec.group(codec.decode_maps(ideal_outputs(codec, people)))
    assert len(poses) == count
    distance = np.abs(poses.keypoints[:, None, :, :2] - people.keypoints[None, :, :, :2]).max(-1)
    distance[:, people.keypoints[..., 2] == 0] = 0
    found, person = linear_sum_assignment(distance.max(-1))
    cells = (people.keypoints[person, :, :2] + 0.5) / 2 - 0.5
    bound = np.where((cells < 1).any(-1), 2.0, 1.0)
    assert (distance[found, person] <= bound + 1e-6).all()


def test_many_people_anywhere_are_encoded_in_fixed_shapes(codec):
    rng = np.random.default_rng(3)
    for count in (0, 1, 30, 45):
        people = random_people(rng, count=count, joints=17, size=SIZE) if count else empty_people()
        targets = codec.encode(people)
        assert {name: (value.shape, value.dtype.name) for name, value in targets.items()} == {
            "heatmaps_4": ((17, 64, 80), "float32"),
            "heatmaps_2": ((17, 128, 160), "float32"),
            "mask_4": ((64, 80), "float32"),
            "mask_2": ((128, 160), "float32"),
            "joints": ((30, 17, 2), "int64"),
        }


def empty_people():
    return People(np.zeros((0, 17, 3)), np.zeros(0), np.zeros((0, 4)))


def test_joints_point_at_the_peaks(codec):
    people = spread_people(np.random.default_rng(4), 12)
    targets = codec.encode(people)
    flat, seen = np.moveaxis(targets["joints"], -1, 0)
    largest = np.argsort(-people.areas, kind="stable")
    np.testing.assert_array_equal(seen[:12], inside(people.keypoints, SIZE)[largest])
    assert not seen[12:].any()
    joint, y, x = np.unravel_index(flat[seen > 0], (17, 64, 80))
    np.testing.assert_array_equal(joint, np.nonzero(seen)[1])
    assert targets["heatmaps_4"][joint, y, x].min() >= np.exp(-2 * 0.5**2 / 8) - 1e-6


def test_the_largest_people_get_tags(codec):
    people = random_people(np.random.default_rng(5), count=40, joints=17, size=SIZE, margin=-1)
    kept = People(
        *(part[np.argsort(-people.areas)[:30]] for part in (people.keypoints, people.areas, people.boxes))
    )
    np.testing.assert_array_equal(codec.encode(people)["joints"], codec.encode(kept)["joints"])
    assert (codec.encode(people)["heatmaps_2"] >= codec.encode(kept)["heatmaps_2"]).all()


@given(seed=st.integers(0, 2**32 - 1))
def test_targets_of_the_mirrored_people_are_the_mirrored_targets(codec, skeleton, seed):
    rng = np.random.default_rng(seed)
    people = random_people(rng, count=5, joints=17, size=SIZE)
    people = People(people.keypoints, people.areas, people.boxes, rng.random(SIZE) < 0.5)
    plain = codec.encode(people)
    mirrored = codec.encode(flip_people(people, SIZE[1], skeleton.flip_index))
    flip = list(skeleton.flip_index)
    for stride in (4, 2):
        maps = plain[f"heatmaps_{stride}"][flip][..., ::-1]
        np.testing.assert_allclose(mirrored[f"heatmaps_{stride}"], maps, atol=1e-6)
        np.testing.assert_array_equal(mirrored[f"mask_{stride}"], plain[f"mask_{stride}"][:, ::-1])


def test_mask_is_the_majority_of_a_cell(codec):
    mask = np.ones(SIZE, bool)
    mask[0:4, 0:3] = False
    people = People(np.zeros((0, 17, 3)), np.zeros(0), np.zeros((0, 4)), mask)
    targets = codec.encode(people)
    assert targets["mask_4"][0, 0] == 0
    assert targets["mask_4"].sum() == 64 * 80 - 1
    np.testing.assert_array_equal(targets["mask_2"][:2, :2], [[0, 0], [0, 0]])


def test_nobody_is_found_in_empty_maps(codec):
    outputs = ideal_outputs(codec, empty_people())
    poses = codec.group(codec.decode_maps(outputs))
    assert poses.keypoints.shape == (0, 17, 3)
    assert poses.scores.shape == (0,)


def test_decode_averages_both_scales_in_pixel_centres(codec):
    heatmaps_4 = np.zeros((17, 64, 80))
    heatmaps_4[:, 10, 20] = 1.0
    candidates = codec.decode_maps(
        {"heatmaps_4": heatmaps_4, "heatmaps_2": np.zeros((17, 128, 160)), "tags": np.zeros((17, 64, 80, 1))}
    )
    block = candidates["heatmap"][0, 19:23, 39:43]
    side = np.array([0.25, 0.75, 0.75, 0.25])
    np.testing.assert_allclose(block, np.outer(side, side) / 2)
    best = candidates["candidates"][0, 0]
    assert abs(best[0] - 81.5) <= 1.0
    assert abs(best[1] - 41.5) <= 1.0


def random_candidates(rng, tag_size):
    """Candidates [6, 9, 3 + T] in no order; in half of the cases with the tags of four people."""
    tags = rng.normal(0, 2, (6, 9, tag_size))
    if rng.random() < 0.5:
        tags = rng.normal(0, 3, (4, tag_size))[rng.integers(0, 4, (6, 9))] + 0.2 * tags
    places, scores = rng.uniform(0, 300, (6, 9, 2)), rng.uniform(0, 1, (6, 9, 1))
    scores[rng.random((6, 9)) < 0.4] = 0
    return np.concatenate([places, scores, tags], axis=-1)


@pytest.mark.parametrize("tag_size", [1, 2])
def test_matching_equals_the_plain_reference(tag_size):
    for seed in range(500):
        candidates = random_candidates(np.random.default_rng(seed), tag_size)
        keypoints, tags = match_by_tags(candidates)
        expected = plain_match(candidates)
        assert len(keypoints) == len(expected)
        for pose, tag, person in zip(keypoints, tags, expected, strict=True):
            reference = np.zeros((6, 3))
            for joint, row in person.items():
                reference[joint] = row[:3]
            np.testing.assert_array_equal(pose, reference)
            np.testing.assert_allclose(tag, np.mean([row[3:] for row in person.values()], axis=0))


@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 9))
def test_the_plain_references_assignment_is_the_cheapest(seed, size):
    cost = np.random.default_rng(seed).integers(0, 20, (size, size)).astype(float)
    pairs = munkres(cost.tolist())
    assert sorted(row for row, _ in pairs) == sorted(column for _, column in pairs) == list(range(size))
    assert sum(cost[pair] for pair in pairs) == cost[linear_sum_assignment(cost)].sum()


def test_at_most_thirty_people_best_first(codec):
    rng = np.random.default_rng(6)
    candidates = np.zeros((17, 30, 4))
    candidates[..., 2] = rng.uniform(0.2, 1, (17, 30))
    candidates[..., 3] = 5.0 * rng.permutation(17 * 30).reshape(17, 30)
    maps = {"heatmap": np.zeros((17, 128, 160)), "tag_map": np.zeros((17, 128, 160, 1))}
    poses = codec.group({"candidates": candidates, **maps})
    assert len(poses) == 30
    assert (np.diff(poses.scores) <= 0).all()
    assert poses.scores[0] == pytest.approx(candidates[..., 2].max() / 17)


def test_missing_joints_are_filled_from_the_maps_of_the_right_tag():
    heatmap, tag_map = np.zeros((2, 8, 8)), np.zeros((2, 8, 8, 1))
    heatmap[1, 2, 5], heatmap[1, 2, 6] = 0.08, 0.05
    heatmap[1, 6, 1] = 0.09
    tag_map[1, 2, 5], tag_map[1, 6, 1] = 3.2, 9.0
    keypoints = np.array([[[1.0, 1.0, 0.9], [0, 0, 0]], [[3.0, 3.0, 0.8], [7.0, 7.0, 0.5]]])
    filled = fill_missing(keypoints, np.array([[3.0], [9.0]]), heatmap, tag_map)
    np.testing.assert_allclose(filled[0, 1], [(5.25 + 0.5) * 2 - 0.5, (2 + 0.5) * 2 - 0.5, 0.08])
    np.testing.assert_allclose(filled[1], keypoints[1])


def test_missing_joints_stay_missing_where_nothing_is_seen():
    keypoints = np.array([[[1.0, 1.0, 0.9], [0, 0, 0]]])
    filled = fill_missing(keypoints, np.zeros((1, 1)), np.full((2, 8, 8), -0.01), np.zeros((2, 8, 8, 1)))
    np.testing.assert_allclose(filled, keypoints)


def test_a_newcomer_does_not_break_good_pairs():
    """Tags 20 50 40 30 are known, 60 40 50 are seen: the two good pairs stay, 60 is a new person."""
    candidates = np.zeros((2, 4, 4))
    candidates[0] = [[x, 0, 0.9, tag] for x, tag in enumerate((20, 50, 40, 30))]
    candidates[1, :3] = [[x, 5, 0.9, tag] for x, tag in enumerate((60, 40, 50))]
    keypoints, tags = match_by_tags(candidates)
    np.testing.assert_allclose(tags[:, 0], [20, 50, 40, 30, 60])
    np.testing.assert_allclose(keypoints[:, 1, 2], [0, 0.9, 0.9, 0, 0.9])


def test_a_flat_top_is_one_peak():
    candidates = np.zeros((1, 4, 4))
    candidates[0] = [[10, 8, 0.5, 3], [11, 8, 0.5, 3.1], [11, 8, 0.5, 7], [40, 8, 0.5, 3]]
    np.testing.assert_array_equal(drop_twins(candidates)[0, :, 2], [0.5, 0, 0.5, 0.5])


def test_a_keypoint_between_two_cells_gives_one_person(codec):
    keypoints = np.zeros((1, 17, 3))
    keypoints[0, :, :] = [101.5, 61.5, 2]
    poses = codec.group(codec.decode_maps(ideal_outputs(codec, make_people(keypoints))))
    assert len(poses) == 1


def test_what_is_not_finite_is_no_candidate():
    candidates = np.full((2, 3, 4), np.nan)
    candidates[:, 0] = [1.0, 1.0, 0.9, 2.0]
    candidates[:, 1] = [1.0, 1.0, 0.9, np.nan]
    keypoints, _ = match_by_tags(candidates)
    assert len(keypoints) == 1


def test_labelled_keypoints_count_inside_an_unlabelled_region(skeleton):
    codec = AssociativeEmbeddingCodec(skeleton, (64, 64))
    keypoints = np.zeros((1, len(skeleton.keypoints), 3))
    keypoints[0, 0] = (32, 32, 2)
    nowhere = np.zeros((64, 64), bool)
    targets = codec.encode(People(keypoints, np.array([100.0]), np.array([[30.0, 30, 34, 34]]), nowhere))
    for stride in (4, 2):
        mask, heatmaps = targets[f"mask_{stride}"], targets[f"heatmaps_{stride}"]
        assert mask.dtype == np.float32
        np.testing.assert_array_equal(mask, heatmaps[0] > 0)
        assert 0 < mask.mean() < 1
