"""The areas of people: the histogram, and the zoom that follows it."""

import numpy as np
import pytest
from dotted_people import centre_near
from hypothesis import given
from hypothesis import strategies as st

from nas.data import Annotations, AugmentConfig, KeypointDataset, SampleRequest
from nas.data.areas import AreaHistogram, moved_onto
from nas.errors import UserError

HISTOGRAM = AreaHistogram(edges=(0.03, 0.08, 0.2, 0.5), shares=(3, 0, 1), zoom=(0.25, 4.0))
SIZE = (96, 128)


def shares_of(areas: list[float]) -> np.ndarray:
    return np.histogram(areas, HISTOGRAM.edges)[0] / len(areas)


def areas_of(dataset: KeypointDataset, requests: int) -> list[float]:
    """Each shown person's share of the input."""
    return [
        float(area) / (SIZE[0] * SIZE[1])
        for seed in range(requests)
        for area in dataset.labelled(SampleRequest(seed % len(dataset), (seed,), SIZE))[1].areas
    ]


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"edges": [0.1, 0.1], "shares": [1]}, "edges: expected increasing numbers"),
        ({"edges": [0.1, 0.2], "shares": [1, 1]}, "2 edges make 1 bins, got 2 shares"),
        ({"edges": [0.1, 0.2], "shares": [0]}, "at least one must be positive"),
        ({"edges": [0.0, 0.2], "shares": [1]}, "edges.0"),
        ({"edges": [0.1, 0.2], "shares": [1], "zoom": [2, 1]}, "the lower one first"),
    ],
)
def test_wrong_histograms_are_named(wrong: object, complaint: str) -> None:
    with pytest.raises(UserError) as caught:
        AugmentConfig.read({"area_histogram": wrong}, "data.augment")
    assert complaint in str(caught.value)


def test_areas_are_drawn_by_their_shares() -> None:
    rng = np.random.default_rng(0)
    drawn = [HISTOGRAM.target(*rng.random(3)).share for _ in range(4000)]
    np.testing.assert_allclose(shares_of(drawn), [0.75, 0, 0.25], atol=0.03)
    small = np.log([area for area in drawn if area < 0.1])
    assert np.mean(small) == pytest.approx(np.log([0.03, 0.08]).mean(), abs=0.03)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(1e-6, 10))
def test_the_zoom_gives_the_area_within_its_bounds(which: float, where: float, share: float) -> None:
    target = HISTOGRAM.target(which, where, 0.5)
    zoom = target.zoom(share)
    assert 0.25 <= zoom <= 4
    assert zoom in (0.25, 4) or share * zoom**2 == pytest.approx(target.share)
    if zoom == 0.25:
        assert share * zoom**2 >= target.share * (1 - 1e-9)
    if zoom == 4:
        assert share * zoom**2 <= target.share * (1 + 1e-9)


@pytest.mark.parametrize("task", ["image", "crop"])
def test_people_have_the_areas_of_the_histogram(dotted: Annotations, task: str) -> None:
    augment = AugmentConfig(area_histogram=HISTOGRAM, rotation=20.0, flip=0.5)
    dataset = KeypointDataset([dotted], task=task, augment=augment)
    areas = areas_of(dataset, 400)
    assert len(areas) == 400
    np.testing.assert_allclose(shares_of(areas), [0.75, 0, 0.25], atol=0.07)
    assert 0.03 <= min(areas) <= max(areas) <= 0.5


def test_a_part_of_a_person_keeps_its_scale(dotted: Annotations) -> None:
    fields = {"part": 1.0, "scale": (0.9, 1.1)}
    plain, following = (
        KeypointDataset([dotted], task="crop", augment=AugmentConfig(**fields, **more))
        for more in ({}, {"area_histogram": HISTOGRAM})
    )
    assert areas_of(plain, 20) == areas_of(following, 20)


def test_whole_images_show_no_parts(dotted: Annotations) -> None:
    plain, more = (
        KeypointDataset([dotted], task="image", augment=AugmentConfig(area_histogram=HISTOGRAM, part=part))
        for part in (0.0, 1.0)
    )
    assert areas_of(plain, 20) == areas_of(more, 20)


def test_mosaics_count_areas_of_the_whole_input(dotted: Annotations) -> None:
    narrow = AreaHistogram(edges=(0.019, 0.021), shares=(1,), zoom=(0.2, 4.0))
    augment = AugmentConfig(area_histogram=narrow, mosaic=1.0)
    areas = areas_of(KeypointDataset([dotted], task="image", augment=augment), 30)
    assert len(areas) > 110
    # Few are so large that their tile cuts them.
    assert np.mean([0.019 <= area <= 0.021 for area in areas]) > 0.9


def test_what_is_enlarged_is_seen_and_stays_sharp(dotted: Annotations) -> None:
    """Also where images are kept small: as large as the strongest zoom takes."""
    large = AreaHistogram(edges=(0.9, 1.1), shares=(1,))
    augment = AugmentConfig(area_histogram=large)
    exact = KeypointDataset([dotted], task="image", augment=augment)
    kept = KeypointDataset([dotted], task="image", augment=augment, largest=(30, 40))
    errors = []
    for index in range(len(dotted.images)):
        request = SampleRequest(index, (index,), (30, 40))
        image, people = exact.labelled(request)
        assert people.boxes[0, :2].min() < 20
        middle = (people.boxes[0, :2] + people.boxes[0, 2:]) / 2
        assert np.abs(middle - (19.5, 14.5)).max() < 12
        np.testing.assert_allclose(kept.labelled(request)[1].keypoints, people.keypoints)
        difference = np.abs(kept.labelled(request)[0].astype(int) - image)
        errors.append(difference.mean())
        for x, y, _ in people.keypoints[0]:
            if 3 < x < 36 and 3 < y < 26:
                assert np.hypot(*(centre_near(image, np.array([x, y]), 2) - (x, y))) < 0.7
    assert np.mean(errors) < 3


boxes = st.tuples(st.floats(-50, 50), st.floats(-50, 50), st.floats(5, 200), st.floats(5, 200)).map(
    lambda b: np.array([b[0], b[1], b[0] + b[2], b[1] + b[3]])
)


@given(boxes, boxes, st.tuples(st.floats(1, 300), st.floats(1, 300)).map(np.array))
def test_a_box_moves_as_far_as_nothing_beyond_it_shows(
    box: np.ndarray, person: np.ndarray, shown: np.ndarray
) -> None:
    moved = moved_onto(box, person, shown)
    np.testing.assert_allclose(moved[2:] - moved[:2], box[2:] - box[:2])
    middle, wanted = (moved[:2] + moved[2:]) / 2, (person[:2] + person[2:]) / 2
    for axis in (0, 1):
        if shown[axis] >= box[axis + 2] - box[axis]:
            assert moved[axis] == pytest.approx(box[axis])
        else:
            low, high = middle[axis] - shown[axis] / 2, middle[axis] + shown[axis] / 2
            assert box[axis] - 1e-6 <= low
            assert high <= box[axis + 2] + 1e-6
            at_edge = min(abs(low - box[axis]), abs(high - box[axis + 2])) < 1e-6
            assert at_edge or middle[axis] == pytest.approx(wanted[axis], abs=1e-6)
