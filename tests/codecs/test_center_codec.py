"""Centre codec: targets in fixed shapes, who is taught where, round trip, and its limits."""

import numpy as np
import pytest
from codec_people import flip_people, inside, make_people, random_people
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from nas.codecs.center import (
    MAX_PEOPLE,
    STRIDE,
    CenterCodec,
    closeness,
    disc,
)
from nas.codecs.types import People
from nas.errors import UserError
from nas.space.skeleton import Skeleton

SKELETONS = {name: Skeleton.load(name) for name in ("coco17", "crowdpose14", "mpii16")}
SIZES = [(128, 160), (192, 128), (256, 256)]


def nobody(joints: int = 17) -> People:
    return People(np.zeros((0, joints, 3)), np.zeros(0), np.zeros((0, 4)))


def apart(rng: np.random.Generator, count: int, joints: int, size: tuple[int, int]) -> People:
    """People in squares of their own, three cells apart; some keypoints are unlabelled, none of nobody."""
    height, width = size
    columns = int(np.ceil(np.sqrt(count)))
    step = np.array([width, height]) / columns
    places = rng.permutation(columns**2)[:count]
    corner = np.stack([places % columns, places // columns], axis=-1) * step
    xy = corner[:, None] + rng.uniform(0, step - 3 * STRIDE, (count, joints, 2))
    keypoints = np.concatenate([xy, rng.integers(0, 3, (count, joints, 1))], axis=-1)
    keypoints[:, 0, 2] = 2
    return make_people(keypoints)


def pairs(found: np.ndarray, people: People, labelled: np.ndarray) -> np.ndarray:
    """[P] the largest error (px) of each person's labelled keypoints, matched to poses [N, K, 3]."""
    distance = np.abs(found[:, None, :, :2] - people.keypoints[None, :, :, :2]).max(-1)
    distance[:, ~labelled] = 0
    pose, person = linear_sum_assignment(distance.max(-1))
    assert len(person) == len(people)
    return distance.max(-1)[pose, person]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, MAX_PEOPLE),
    name=st.sampled_from(sorted(SKELETONS)),
    size=st.sampled_from(SIZES),
)
def test_round_trip_gives_everyone_back(dtype, seed, count, name, size):
    codec = CenterCodec(SKELETONS[name], size, {"people": MAX_PEOPLE})
    people = apart(np.random.default_rng(seed), count, codec.keypoints, size)
    outputs = {name: maps.astype(dtype) for name, maps in codec.ideal_maps(people).items()}
    poses = codec.group(codec.decode_maps(outputs))
    assert len(poses) == count
    assert pairs(poses.keypoints, people, people.keypoints[..., 2] > 0).max() <= 0.01


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 45), size=st.sampled_from(SIZES))
def test_targets_and_poses_are_finite_and_of_fixed_shapes_whoever_comes(seed, count, size):
    rng = np.random.default_rng(seed)
    codec = CenterCodec(SKELETONS["coco17"], size, {"people": 10})
    people = random_people(rng, count=count, joints=17, size=size) if count else nobody()
    targets = codec.encode(people)
    height, width = size[0] // STRIDE, size[1] // STRIDE
    assert {name: target.shape for name, target in targets.items()} == {
        "heatmaps": (17, height, width),
        "center": (1, height, width),
        "mask": (height, width),
        "joints": (MAX_PEOPLE, 17, 3),
        "discs": (MAX_PEOPLE, 21, 2),
        "blocks": (MAX_PEOPLE, 17, 9, 2),
    }
    assert {target.dtype.name for target in targets.values()} == {"float32", "int64"}
    assert all(np.isfinite(target).all() for target in targets.values())
    for name in ("discs", "blocks"):
        cells, taught = np.moveaxis(targets[name], -1, 0)
        assert cells.min() >= 0
        assert cells.max() < height * width
        assert set(np.unique(taught)) <= {0, 1}
        for joint in range(17 if name == "blocks" else 1):
            own = cells[:, joint][taught[:, joint] > 0] if name == "blocks" else cells[taught > 0]
            assert len(np.unique(own)) == len(own)
    poses = codec.group(codec.decode_maps(codec.ideal_maps(people)))
    assert len(poses) <= 10
    assert np.isfinite(poses.keypoints).all()
    labelled = inside(people.keypoints, size)
    if not labelled.any():
        assert len(poses) == 0
    assert targets["joints"][..., 2].sum() == labelled[np.argsort(-people.areas, kind="stable")][:30].sum()


def test_centre_is_the_middle_of_the_box_around_keypoints_inside(skeleton):
    keypoints = np.zeros((1, 17, 3))
    keypoints[0, :4] = [[10, 20, 2], [50, 20, 1], [30, 44, 2], [-20, 30, 2]]
    targets = CenterCodec(skeleton, (96, 96)).encode(make_people(keypoints))
    x, y = (30 + 0.5) / 4 - 0.5, (32 + 0.5) / 4 - 0.5
    expected = np.exp(-((7 - x) ** 2 + (8 - y) ** 2) / 8)
    assert np.unravel_index(targets["center"].argmax(), (1, 24, 24)) == (0, 8, 7)
    assert targets["center"][0, 8, 7] == pytest.approx(expected, rel=1e-5)
    cells = (keypoints[0, :3, :2] + 0.5) / 4 - 0.5
    np.testing.assert_allclose(targets["joints"][0, :3], np.column_stack([cells, np.ones(3)]))
    assert not targets["joints"][0, 3:].any()
    own = targets["discs"][0]
    assert own[:, 1].all()
    np.testing.assert_array_equal(
        np.sort(own[:, 0]), np.sort((disc(2.3)[:, 1] + 8) * 24 + disc(2.3)[:, 0] + 7)
    )


def test_cells_between_two_people_are_the_nearer_ones(skeleton):
    keypoints = np.zeros((2, 17, 3))
    keypoints[:, 0] = [[42, 30, 2], [30, 30, 2]]
    targets = CenterCodec(skeleton, (64, 64)).encode(make_people(keypoints))
    centers = (keypoints[:, 0, :2] + 0.5) / 4 - 0.5
    for person, cells in enumerate(targets["discs"]):
        own = cells[cells[:, 1] > 0, 0]
        places = np.column_stack([own % 16, own // 16])
        if person < 2:
            assert 0 < len(own) < 21
            distance = np.linalg.norm(places[:, None] - centers, axis=-1)
            assert (distance.argmin(1) == person).all()
        else:
            assert not len(own)


def test_of_people_with_one_centre_one_is_found(skeleton):
    rng = np.random.default_rng(0)
    keypoints = np.concatenate([rng.uniform(20, 60, (1, 17, 2)), np.full((1, 17, 1), 2.0)], axis=-1)
    small = keypoints.copy()
    small[..., :2] = 39.6 + 0.4 * (keypoints[..., :2] - 39.6)
    codec = CenterCodec(skeleton, (96, 96))
    poses = codec.group(codec.decode_maps(codec.ideal_maps(make_people(np.concatenate([keypoints, small])))))
    assert len(poses) == 1


def test_a_centre_between_two_cells_gives_one_pose(skeleton):
    keypoints = np.zeros((1, 17, 3))
    keypoints[0, :] = [63.5, 43.5, 2]
    keypoints[0, :2, :2] = [[51.5, 31.5], [75.5, 55.5]]
    codec = CenterCodec(skeleton, (96, 96))
    center = codec.encode(make_people(keypoints))["center"]
    assert (center == center.max()).sum() > 1
    assert len(codec.group(codec.decode_maps(codec.ideal_maps(make_people(keypoints))))) == 1


@given(seed=st.integers(0, 2**32 - 1))
def test_one_person_is_the_one_near_the_middle(seed):
    rng = np.random.default_rng(seed)
    codec = CenterCodec(SKELETONS["coco17"], (256, 256), {"people": 1})
    people = apart(rng, 9, 17, (256, 256))
    candidates = codec.decode_maps(codec.ideal_maps(people))
    assert candidates["keypoints"].shape == (1, 17, 3)
    center = codec.encode(people)["center"][0]
    chosen = np.unravel_index((center * closeness(center.shape)).argmax(), center.shape)
    labelled = people.keypoints[..., 2] > 0
    low = np.where(labelled[..., None], people.keypoints[..., :2], np.inf).min(1)
    high = np.where(labelled[..., None], people.keypoints[..., :2], -np.inf).max(1)
    nearest = np.linalg.norm(((low + high) / 2 + 0.5) / 4 - 0.5 - chosen[::-1], axis=1).argmin()
    error = np.abs(candidates["keypoints"][0] - people.keypoints[nearest])[labelled[nearest], :2]
    assert error.max() <= 0.01


def test_closeness_is_highest_in_the_middle_and_halves_at_half_the_longer_side():
    near = closeness((9, 17))
    assert near[4, 8] == near.max() == 1
    assert near[4, 0] == pytest.approx(1 / (1 + 8 / 8.5))


def test_a_keypoint_goes_to_the_best_peak_for_its_distance(skeleton):
    """A value of 0.9 three cells away beats 0.3 at the place itself; 1.0 eight cells away is out of reach."""
    codec = CenterCodec(skeleton, (128, 128), {"people": 1})
    maps = {
        "heatmaps": np.zeros((17, 32, 32)),
        "center": np.zeros((1, 32, 32)),
        "regressions": np.zeros((34, 32, 32)),
        "offsets": np.zeros((34, 32, 32)),
    }
    maps["center"][0, 16, 16] = 1
    maps["regressions"][0, 16, 16] = -2 / 8
    maps["heatmaps"][0, 16, 14], maps["heatmaps"][0, 16, 17], maps["heatmaps"][0, 16, 22] = 0.3, 0.9, 1.0
    maps["offsets"][[0, 17], 16, 17] = 0.25, -0.5
    maps["heatmaps"][1, 16, 17] = 0.05
    keypoints = codec.decode_maps(maps)["keypoints"][0]
    np.testing.assert_allclose(keypoints[0], [(17.25 + 0.5) * 4 - 0.5, (15.5 + 0.5) * 4 - 0.5, 0.9])
    np.testing.assert_allclose(keypoints[1], [16.5 * 4 - 0.5, 16.5 * 4 - 0.5, 0.05])


def test_targets_of_mirrored_people_are_the_mirrored_targets(skeleton):
    people = random_people(np.random.default_rng(3), count=6, joints=17, size=(128, 96))
    codec = CenterCodec(skeleton, (128, 96))
    plain, mirrored = codec.encode(people), codec.encode(flip_people(people, 96, skeleton.flip_index))
    flip = list(skeleton.flip_index)
    np.testing.assert_allclose(mirrored["heatmaps"], plain["heatmaps"][flip][..., ::-1], atol=1e-6)
    np.testing.assert_allclose(mirrored["center"], plain["center"][..., ::-1], atol=1e-6)
    joints = plain["joints"][:, flip].copy()
    joints[..., 0] = np.where(joints[..., 2] > 0, 23 - joints[..., 0], 0)
    np.testing.assert_allclose(mirrored["joints"], joints, atol=1e-4)


def test_masked_regions_count_only_around_labelled_people(skeleton):
    keypoints = np.zeros((1, 17, 3))
    keypoints[0, 0], keypoints[0, 1] = (30, 30, 2), (34, 50, 2)
    nowhere = np.zeros((96, 96), bool)
    people = People(keypoints, np.array([100.0]), np.array([[30.0, 30, 34, 50]]), nowhere)
    targets = CenterCodec(skeleton, (96, 96)).encode(people)
    around = (targets["heatmaps"].max(0) > 0) | (targets["center"][0] > 0)
    np.testing.assert_array_equal(targets["mask"], around)
    assert 0 < targets["mask"].mean() < 1
    everywhere = People(keypoints, people.areas, people.boxes)
    assert CenterCodec(skeleton, (96, 96)).encode(everywhere)["mask"].all()


def test_numbers_of_people_out_of_range_are_named(skeleton):
    for people in (0, 31):
        expected = f"'people' of head 'center': expected a number of at least 1 and at most 30, got {people}"
        with pytest.raises(UserError, match=expected):
            CenterCodec(skeleton, (64, 64), {"people": people})
