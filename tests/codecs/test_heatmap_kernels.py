"""What heatmaps look like around a keypoint, and how their peaks are refined."""

import numpy as np
import pytest
from codec_people import inside, random_people
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from nas.codecs.associative_embedding import AssociativeEmbeddingCodec
from nas.codecs.dark import dark_shift
from nas.codecs.heatmap import HeatmapCodec
from nas.codecs.maps import draw_heatmaps
from nas.codecs.types import People
from nas.errors import UserError
from nas.space.skeleton import Skeleton

SIZE = (128, 96)


def drawn(skeleton, area, **options):
    """The map of one keypoint at cell (9.625, 5.75) of a crop whose person has that area (px^2)."""
    keypoints = np.zeros((1, 17, 3))
    keypoints[0, 3] = [40.0, 24.5, 2]
    people = People(keypoints, np.array([float(area)]), np.zeros((1, 4)))
    return HeatmapCodec(skeleton, SIZE, options).encode(people)["heatmaps"][3]


@pytest.mark.parametrize(
    ("kernel", "value", "reach"),
    [("gaussian", lambda d: np.exp(-(d**2) / 2), 3), ("exponential", lambda d: np.exp(-d), 4.5)],
)
@pytest.mark.parametrize(
    ("radius", "area", "sigma"),
    [
        ("fixed", 1e4, 2),
        ("fixed", 1, 2),
        ("person", 1e4, 2),
        ("person", 22500, 3),
        ("person", 4, 1),
        ("person", 1e6, 4),
    ],
)
def test_kernel_and_radius_are_the_formula(skeleton, kernel, value, reach, radius, area, sigma):
    found = drawn(skeleton, area, kernel=kernel, radius=radius)
    y, x = np.indices((32, 24), float)
    dx, dy = (x - 9.625) / sigma, (y - 5.75) / sigma
    expected = value(np.hypot(dx, dy)) * ((abs(dx) <= reach) & (abs(dy) <= reach))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_every_person_has_a_sigma_of_their_own():
    keypoints = np.array([[[20.0, 20, 2]], [[70.0, 20, 2]]])
    maps = draw_heatmaps(keypoints, stride=1, grid=(40, 90), sigma=np.array([1.0, 4.0]))
    assert maps[0, 20, 20] == maps[0, 20, 70] == 1
    np.testing.assert_allclose(maps[0, 20, [21, 71]], np.exp([-0.5, -1 / 32]), rtol=1e-6)


def test_associative_embedding_draws_the_same(skeleton):
    people = random_people(np.random.default_rng(0), count=3, joints=17, size=SIZE)
    options = {"kernel": "exponential", "radius": "person"}
    encoded = AssociativeEmbeddingCodec(skeleton, SIZE, options).encode(people)
    for stride in (4, 2):
        one_by_one = [
            HeatmapCodec(skeleton, SIZE, options, stride=stride).encode(
                People(people.keypoints[p : p + 1], people.areas[p : p + 1], people.boxes[p : p + 1])
            )["heatmaps"]
            for p in range(3)
        ]
        np.testing.assert_allclose(encoded[f"heatmaps_{stride}"], np.max(one_by_one, axis=0))
    assert (
        not AssociativeEmbeddingCodec(skeleton, SIZE, options)
        .encode(People(np.zeros((0, 17, 3)), np.zeros(0), np.zeros((0, 4))))["heatmaps_4"]
        .any()
    )


@pytest.mark.parametrize("name", ["coco17", "mpii16"])
@pytest.mark.parametrize(("kernel", "within"), [("gaussian", 0.02), ("exponential", 0.1)])
@pytest.mark.parametrize("radius", ["fixed", "person"])
@pytest.mark.parametrize("stride", [2, 4, 8])
@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_dark_round_trip(name, kernel, within, radius, stride, seed):
    skeleton, rng = Skeleton.load(name), np.random.default_rng(seed)
    people = random_people(rng, count=1, joints=len(skeleton.keypoints), size=SIZE)
    people = People(people.keypoints, rng.uniform(1, 4e4, 1), people.boxes)
    options = {"kernel": kernel, "radius": radius, "refine": "dark"}
    codec = HeatmapCodec(skeleton, SIZE, options, stride=stride)
    encoded = codec.encode(people)
    seen = encoded["weights"] > 0
    np.testing.assert_array_equal(seen, inside(people.keypoints[0], SIZE))
    truth = people.keypoints[0, seen, :2]
    found = codec.decode_maps(encoded)["keypoints"][0, seen, :2]
    cells = (truth + 0.5) / stride - 0.5
    outermost = (cells < 0.5) | (cells > np.array([SIZE[1], SIZE[0]]) / stride - 1.5)
    assert (np.abs(found - truth) <= np.where(outermost, 0.5, within) * stride + 1e-3).all()


@given(seed=st.integers(0, 2**32 - 1))
def test_dark_is_newtons_step_on_the_logarithm_of_the_smoothed_map(seed):
    """Far from the border: scipy's smoothing of the whole map, and a 2x2 system solved by numpy."""
    rng = np.random.default_rng(seed)
    centre, angle = rng.uniform(15, 24, 2), rng.uniform(0, np.pi)
    y, x = np.indices((40, 40)) - centre[:, None, None]
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    maps = (np.exp(-(along**2) / 18 - across**2 / 6) + 0.02 * rng.random((40, 40)))[None]
    row, column = np.divmod(maps[0].argmax(), 40)
    log = np.log(gaussian_filter(maps[0], 2.0, radius=6)[row - 1 : row + 2, column - 1 : column + 2])
    gradient = np.array([log[1, 2] - log[1, 0], log[2, 1] - log[0, 1]]) / 2
    mixed = (log[2, 2] - log[2, 0] - log[0, 2] + log[0, 0]) / 4
    hessian = np.array(
        [[log[1, 2] - 2 * log[1, 1] + log[1, 0], mixed], [mixed, log[2, 1] - 2 * log[1, 1] + log[0, 1]]]
    )
    step = np.clip(np.linalg.solve(hessian, -gradient), -1, 1)
    found = dark_shift(maps, np.array(0), column, row)
    np.testing.assert_allclose(found, [column + step[0], row + step[1]], atol=1e-9)


@pytest.mark.parametrize("maps", [np.zeros((1, 20, 20)), np.ones((1, 20, 20)), -np.ones((1, 20, 20))])
def test_dark_leaves_flat_maps_alone(maps):
    np.testing.assert_array_equal(dark_shift(maps, np.array(0), np.array(7), np.array(9)), [7, 9])


@pytest.mark.parametrize(
    ("option", "known"),
    [("kernel", "gaussian, exponential"), ("radius", "fixed, person"), ("refine", "quarter, dark")],
)
def test_unknown_names_are_a_users_error(skeleton, option, known):
    with pytest.raises(UserError, match=rf"'{option}'.*: 'square' is unknown; choose one of {known}"):
        HeatmapCodec(skeleton, SIZE, {option: "square"})
