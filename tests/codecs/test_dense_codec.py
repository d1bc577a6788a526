"""Dense codec: round trip, targets in fixed shapes, suppression against the greedy algorithm."""

import numpy as np
import pytest
from codec_people import flip_people, inside, make_people, random_people
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from nas.codecs.dense import DenseCodec, cell_centres, suppress
from nas.codecs.types import People
from nas.errors import UserError
from nas.space.skeleton import Skeleton

SIZE = (256, 320)
SKELETONS = {name: Skeleton.load(name) for name in ("coco17", "crowdpose14", "mpii16")}


def nobody(joints: int = 17) -> People:
    return People(np.zeros((0, joints, 3)), np.zeros(0), np.zeros((0, 4)))


def crowd(rng: np.random.Generator, count: int, joints: int, size: tuple[int, int], overlap: bool) -> People:
    """People with a labelled joint inside; apart from each other unless they may overlap."""
    height, width = size
    if overlap:
        people = random_people(rng, count=count, joints=joints, size=size)
        keypoints = people.keypoints
    else:
        cells = rng.permutation(48)[:count]
        corner = np.stack([cells % 8 * width / 8, cells // 8 * height / 6], axis=-1)
        places = corner[:, None] + rng.uniform(0, [width / 8 - 4, height / 6 - 4], (count, joints, 2))
        keypoints = np.concatenate([places, rng.integers(0, 3, (count, joints, 1))], axis=-1)
    keypoints[:, 0] = np.concatenate(
        [keypoints[:, 1, :2].clip(0, [width - 1, height - 1]), [[2.0]] * count], 1
    )
    return make_people(keypoints)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("decode", ["nms", "one_to_one"])
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 30),
    name=st.sampled_from(sorted(SKELETONS)),
    size=st.sampled_from([(256, 320), (128, 128), (384, 192)]),
    fourth=st.booleans(),
)
def test_round_trip_gives_everyone_back(decode, dtype, seed, count, name, size, fourth):
    strides = (64, 32, 16, 8) if fourth else (32, 16, 8)
    codec = DenseCodec(SKELETONS[name], size, {"decode": decode, "people": 30}, stride=strides)
    people = crowd(np.random.default_rng(seed), count, codec.keypoints, size, decode == "one_to_one")
    outputs = codec.ideal_maps(people)
    poses = codec.group(codec.decode_maps({name: part.astype(dtype) for name, part in outputs.items()}))
    assert len(poses) == count
    labelled = inside(people.keypoints, size)
    distance = np.abs(poses.keypoints[:, None, :, :2] - people.keypoints[None, :, :, :2]).max(-1)
    distance[:, ~labelled] = 0
    found, person = linear_sum_assignment(distance.max(-1))
    accuracy = 1e-9 if dtype is np.float64 else 1e-3
    assert distance[found, person].max() <= accuracy
    sight = people.boxes.reshape(-1, 2, 2).clip(0, np.array(size[::-1]) - 1.0)
    small = (sight[:, 1] - sight[:, 0]).min(1) < 1  # boxes are of a pixel at least
    expected, boxes = sight.reshape(-1, 4)[person], poses.boxes[found]
    np.testing.assert_allclose(boxes[~small[person]], expected[~small[person]], atol=accuracy)
    np.testing.assert_array_equal(poses.keypoints[found, :, 2] > 0, labelled[person])


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 90))
def test_targets_have_fixed_shapes_and_hold_the_largest_people(seed, count):
    codec = DenseCodec(SKELETONS["coco17"], SIZE)
    rng = np.random.default_rng(seed)
    people = random_people(rng, count=count, joints=17, size=SIZE) if count else nobody()
    targets = codec.encode(people)
    assert {name: (value.shape, value.dtype.name) for name, value in targets.items()} == {
        "boxes": ((60, 4), "float32"),
        "joints": ((60, 17, 3), "float32"),
        "mask": ((32, 40), "float32"),
    }
    visible = inside(people.keypoints, SIZE)
    present = (targets["joints"][..., 2] > 0).any(1)
    kept = min(60, int(visible.any(1).sum()))
    assert present[:kept].all()
    assert not present[kept:].any()
    boxes = people.boxes.clip(0, [319, 255, 319, 255])
    sizes = (boxes[:, 2:] - boxes[:, :2]).prod(1) if count else np.zeros(0)
    order = np.argsort(-np.where(visible.any(1), sizes, -1.0), kind="stable")[:kept]
    np.testing.assert_allclose(targets["boxes"][:kept], boxes[order], atol=1e-4)
    np.testing.assert_array_equal(targets["joints"][:kept, :, 2], visible[order])
    seen = visible[order]
    np.testing.assert_allclose(
        targets["joints"][:kept, :, :2][seen], people.keypoints[order, :, :2][seen], atol=1e-4
    )


def test_mask_is_the_share_of_a_cell_that_counts():
    mask = np.ones(SIZE, bool)
    mask[:8, :6] = False
    people = People(np.zeros((0, 17, 3)), np.zeros(0), np.zeros((0, 4)), mask)
    expected = np.ones((32, 40))
    expected[0, 0] = 0.25
    np.testing.assert_array_equal(DenseCodec(SKELETONS["coco17"], SIZE).encode(people)["mask"], expected)


def test_people_without_a_visible_joint_are_masked():
    keypoints = np.full((1, 17, 3), 40.0)
    keypoints[..., 2] = 0
    people = People(keypoints, np.array([256.0]), np.array([[16.0, 16.0, 31.0, 47.0]]))
    targets = DenseCodec(SKELETONS["coco17"], SIZE).encode(people)
    expected = np.ones((32, 40))
    expected[2:6, 2:4] = 0
    np.testing.assert_array_equal(targets["mask"], expected)
    assert not targets["joints"].any()


def test_targets_of_mirrored_people_are_mirrored():
    skeleton = SKELETONS["coco17"]
    codec, rng = DenseCodec(skeleton, SIZE), np.random.default_rng(0)
    people = random_people(rng, count=9, joints=17, size=SIZE)
    people = People(people.keypoints, people.areas, people.boxes, rng.random(SIZE) < 0.5)
    plain, mirrored = codec.encode(people), codec.encode(flip_people(people, 320, skeleton.flip_index))
    np.testing.assert_array_equal(mirrored["mask"], plain["mask"][:, ::-1])
    shown = int((plain["joints"][..., 2] > 0).any(1).sum())
    boxes = plain["boxes"][:shown, [2, 1, 0, 3]].copy()
    boxes[:, [0, 2]] = 319 - boxes[:, [0, 2]]
    np.testing.assert_allclose(mirrored["boxes"][:shown], boxes, atol=1e-4)


def test_nobody_is_found_in_unsure_maps():
    codec = DenseCodec(SKELETONS["coco17"], SIZE, stride=(16, 8))
    assert len(codec.group(codec.decode_maps(codec.ideal_maps(nobody())))) == 0


def test_fewer_cells_than_people_are_padded():
    codec = DenseCodec(SKELETONS["coco17"], (32, 32), {"people": 40}, stride=(16, 8))
    candidates = codec.decode_maps(codec.ideal_maps(nobody()))
    assert candidates["keypoints"].shape == (40, 17, 3)
    assert candidates["scores"].shape == (40,)


def test_cells_lie_at_the_middle_of_their_pixels():
    np.testing.assert_array_equal(
        cell_centres([(16, (1, 2)), (8, (2, 1))]),
        [[7.5, 7.5, 16], [23.5, 7.5, 16], [3.5, 3.5, 8], [3.5, 11.5, 8]],
    )


def greedy(boxes: np.ndarray) -> list[bool]:
    """Non-maximum suppression one box at a time."""
    kept: list[int] = []
    for number, (x0, y0, x1, y1) in enumerate(boxes):
        for other in kept:
            a0, b0, a1, b1 = boxes[other]
            shared = max(min(x1, a1) - max(x0, a0), 0) * max(min(y1, b1) - max(y0, b0), 0)
            if shared / ((x1 - x0) * (y1 - y0) + (a1 - a0) * (b1 - b0) - shared) > 0.65:
                break
        else:
            kept.append(number)
    return [number in kept for number in range(len(boxes))]


def answers_around(rng: np.random.Generator, people: int, spread: float) -> np.ndarray:
    """A hundred boxes around a few people, as a network's cells give them, in random order."""
    low = rng.uniform(0, 300, (people, 2))
    boxes = np.concatenate([low, low + rng.uniform(20, 120, (people, 2))], axis=1)[
        rng.integers(0, people, 100)
    ]
    return boxes + rng.normal(0, spread, boxes.shape)


@given(seed=st.integers(0, 2**32 - 1), people=st.integers(1, 40), spread=st.floats(0, 2))
def test_suppression_is_the_greedy_algorithm(seed, people, spread):
    boxes = answers_around(np.random.default_rng(seed), people, spread)
    np.testing.assert_array_equal(suppress(boxes), greedy(boxes))


def test_suppression_needs_a_round_for_each_link_of_a_chain():
    """Each box overlaps its neighbours only: every second one stays, settled two boxes further each time."""
    left = np.arange(40) * 2.0
    boxes = np.stack([left, np.zeros(40), left + 10, np.full(40, 10.0)], axis=1)
    np.testing.assert_array_equal(suppress(boxes, rounds=40), [True, False] * 20)
    np.testing.assert_array_equal(suppress(boxes)[:8], [True, False] * 4)


@pytest.mark.parametrize("value", ["softnms", ""])
def test_unknown_decode_is_a_users_error(value):
    with pytest.raises(UserError, match="choose one of nms, one_to_one"):
        DenseCodec(SKELETONS["coco17"], SIZE, {"decode": value})


@pytest.mark.parametrize("value", [0, 101])
def test_so_many_people_are_a_users_error(value):
    with pytest.raises(UserError, match="at least 1 and at most 100"):
        DenseCodec(SKELETONS["coco17"], SIZE, {"people": value})
