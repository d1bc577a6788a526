"""Blanked patches: where they lie, and what they leave."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.codecs import People
from nas.codecs.affine import BORDER_COLOUR
from nas.data import Annotations, AugmentConfig, KeypointDataset, SampleRequest
from nas.data.augment import draw_variation
from nas.data.patches import FEWEST_JOINTS, Patch, Shape, blank, cutout, drop, without_hidden
from nas.space.arch import Head

MEAN = np.array(BORDER_COLOUR, np.uint8)
sides = st.floats(0.02, 0.9)


def blanked(resolution: tuple[int, int], patch: Patch) -> np.ndarray:
    image = np.zeros((*resolution, 3), np.uint8)
    blank(image, patch)
    changed = image.any(2)
    assert (image[changed] == MEAN).all()
    return changed


def standing(*, joints: int, x: float, y: float, side: float) -> People:
    """One person of a square box; labelled joints on a diagonal through its middle."""
    keypoints = np.zeros((1, 7, 3))
    keypoints[0, :joints, :2] = np.add((x, y), np.linspace(-0.3, 0.3, joints)[:, None] * side)
    keypoints[0, :joints, 2] = 2
    box = np.array([[x, y, x, y]]) + np.array([-0.5, -0.5, 0.5, 0.5]) * side
    return People(keypoints, np.array([side**2]), box)


@given(
    st.lists(st.floats(0, 1, exclude_max=True), min_size=5, max_size=5),
    st.tuples(sides, sides).map(sorted),
    st.sampled_from(["rectangle", "circle", "either"]),
)
def test_a_cutout_lies_inside_and_has_its_size(u: list[float], size: list[float], shape: Shape) -> None:
    patch = cutout((size[0], size[1]), shape, u)
    for start, extent in ((patch.x, patch.width), (patch.y, patch.height)):
        assert start >= 0
        assert start + extent <= 1 + 1e-9
        assert size[0] - 1e-9 <= extent <= size[1] + 1e-9
    assert patch.round is (shape == "circle" or (shape == "either" and u[4] < 0.5))


def test_a_rectangle_covers_its_pixels_and_no_other() -> None:
    changed = blanked((40, 20), Patch(0.25, 0.5, 0.5, 0.25))
    expected = np.zeros((40, 20), bool)
    expected[20:30, 5:15] = True
    np.testing.assert_array_equal(changed, expected)


@pytest.mark.parametrize("transposed", [False, True])
def test_a_circle_is_the_largest_in_the_middle_of_its_rectangle(transposed: bool) -> None:
    """Of 20..60 x 12..43 px: radius 15.5 about (40, 27.5)."""
    fractions = [(20 / 80, 12 / 60), (40 / 80, 31 / 60)]
    (x0, y0), (width, height) = (pair[::-1] if transposed else pair for pair in fractions)
    changed = blanked((80, 60) if transposed else (60, 80), Patch(x0, y0, width, height, round=True))
    y, x = np.mgrid[:60, :80] + 0.5
    np.testing.assert_array_equal(changed.T if transposed else changed, np.hypot(x - 40, y - 27.5) <= 15.5)


@pytest.mark.parametrize("round_", [False, True])
def test_what_reaches_beyond_the_input_is_cut(round_: bool) -> None:
    whole = np.zeros((90, 120), bool)
    whole[30:60, 40:80] = blanked((30, 40), Patch(-0.2, 0.6, 0.5, 0.7, round_))
    larger = blanked((90, 120), Patch((40 - 8) / 120, (30 + 18) / 90, 20 / 120, 21 / 90, round_))
    np.testing.assert_array_equal(
        whole, larger & (np.indices((90, 120))[0] < 60) & (np.indices((90, 120))[1] >= 40)
    )
    assert not blanked((30, 40), Patch(1.2, 0.1, 0.5, 0.5, round_)).any()


@given(st.integers(0, 10**6), st.floats(10, 90), st.floats(10, 90), st.floats(4, 60))
def test_dropping_hides_one_joint_and_surrounds_it(seed: int, x: float, y: float, side: float) -> None:
    people = standing(joints=6, x=x, y=y, side=side)
    (patch,) = drop(
        people,
        (100, 100),
        probability=1.0,
        size=(0.2, 0.4),
        shape="circle",
        rng=np.random.default_rng(seed),
    ) or [None]
    inside = ((people.keypoints[0, :6, :2] >= -0.5) & (people.keypoints[0, :6, :2] < 99.5)).all(1)
    if inside.sum() < FEWEST_JOINTS:
        assert patch is None
        return
    assert patch is not None
    centre = np.array([patch.x + patch.width / 2, patch.y + patch.height / 2]) * 100 - 0.5
    distance = np.hypot(*(people.keypoints[0, :6, :2] - centre).T)
    assert distance.min() < 1e-6
    assert inside[distance.argmin()]
    assert patch.round
    assert patch.width == pytest.approx(patch.height)
    assert 0.2 * side - 1e-6 <= 100 * patch.width <= 0.4 * side + 1e-6


def test_every_person_is_drawn_for_alone_and_every_joint_has_its_turn() -> None:
    single = standing(joints=5, x=50, y=50, side=40)
    many = People(*(np.repeat(part, 400, axis=0) for part in (single.keypoints, single.areas, single.boxes)))
    patches = drop(
        many,
        (100, 100),
        probability=0.3,
        size=(0.1, 0.1),
        shape="rectangle",
        rng=np.random.default_rng(0),
    )
    assert 90 < len(patches) < 150
    found = np.array([100 * (patch.x + patch.width / 2) - 0.5 for patch in patches])
    counts = (np.abs(found[:, None] - single.keypoints[0, :5, 0]) < 1e-6).sum(0)
    assert counts.sum() == len(patches)
    assert counts.min() > 10


def test_a_person_of_few_joints_keeps_them() -> None:
    few = standing(joints=FEWEST_JOINTS - 1, x=50, y=50, side=40)
    assert not drop(
        few, (100, 100), probability=1.0, size=(0.1, 0.2), shape="either", rng=np.random.default_rng(0)
    )


def test_dropping_hides_dots_and_leaves_targets(dotted: Annotations) -> None:
    plain = KeypointDataset([dotted], task="crop")
    augment = AugmentConfig(information_dropping=1.0, dropping_size=(0.3, 0.3))
    dropping = KeypointDataset([dotted], task="crop", augment=augment)
    request = SampleRequest(1, (4,), (96, 72), Head("heatmap"))
    whole, hidden = plain[request], dropping[request]
    for name, target in whole.targets.items():
        np.testing.assert_array_equal(hidden.targets[name], target)
    changed = (whole.image != hidden.image).any(2)
    assert (hidden.image[changed] == MEAN).all()
    joints = np.rint(plain.labelled(request)[1].keypoints[0, :, :2]).astype(int)
    assert (hidden.image[joints[:, 1], joints[:, 0]] == MEAN).all(1).any()
    np.testing.assert_array_equal(dropping[request].image, hidden.image)


def test_whoever_is_hidden_altogether_is_no_label_of_a_whole_image() -> None:
    first, second = (standing(joints=5, x=x, y=40, side=20) for x in (30, 70))
    people = People(
        *(
            np.concatenate([getattr(one, part) for one in (first, second)])
            for part in ("keypoints", "areas", "boxes")
        )
    )
    assert without_hidden(people, [], (80, 100)) is people
    corner = Patch(0.22, 0.4, 0.10, 0.2)  # the first's joints up to the middle one
    assert without_hidden(people, [corner], (80, 100)) is people
    left = without_hidden(people, [corner, Patch(0.3, 0.5, 0.07, 0.1)], (80, 100))
    np.testing.assert_array_equal(left.keypoints, second.keypoints)
    np.testing.assert_array_equal(left.areas, second.areas)
    np.testing.assert_array_equal(left.boxes, second.boxes)
    assert left.mask is not None
    expected = np.ones((80, 100), bool)
    expected[30:51, 20:41] = False
    assert (left.mask != expected).sum() <= 2 * 21
    # Joints that are unlabelled or lie beyond the input are no joints to be seen.
    first.keypoints[0, 3] = (150, 40, 2)
    first.keypoints[0, 4] = (34, 44, 0)
    assert not len(without_hidden(first, [corner], (80, 100)))


def test_only_whole_images_lose_those_who_are_hidden(dotted: Annotations) -> None:
    augment = AugmentConfig(cutout=1.0, cutout_size=(1.0, 1.0))
    for task, people in (("image", 0), ("crop", 1)):
        dataset = KeypointDataset([dotted], task=task, augment=augment)
        assert len(dataset.labelled(SampleRequest(0, (1,), (64, 64)))[1]) == people


def test_the_same_numbers_are_drawn_with_and_without_cutouts() -> None:
    fields = {"scale": (0.5, 1.5), "rotation": 40.0, "shift": 0.1, "flip": 0.5, "contrast": 0.3}
    plain = draw_variation(AugmentConfig(**fields), np.random.default_rng(5))
    cut = draw_variation(AugmentConfig(**fields, cutout=1.0), np.random.default_rng(5))
    assert cut.patch is not None
    assert (plain.scale, plain.rotation, plain.shift, plain.flip) == (
        cut.scale,
        cut.rotation,
        cut.shift,
        cut.flip,
    )
    np.testing.assert_array_equal(plain.colour, cut.colour)
