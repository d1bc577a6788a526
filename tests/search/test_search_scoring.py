"""How networks are scored: as asked for, as before, or as in a new search."""

import pytest

from nas.errors import UserError
from nas.search.scoring import CALIBRATION_IMAGES, Scoring

FORMER = {"demo AP abc heatmap"}


def chosen(studies: set[str], images: int | None = None, stopping: bool | None = None) -> Scoring:
    return Scoring.chosen(
        "abc",
        studies=studies,
        name=lambda key: f"demo AP {key} heatmap",
        calibration_images=images,
        early_stopping=stopping,
    )


@pytest.mark.parametrize(
    ("studies", "images", "stopping", "expected"),
    [
        (set(), None, None, Scoring(CALIBRATION_IMAGES, True)),
        ({"demo AP abc", "demo AP abd heatmap"}, None, None, Scoring(CALIBRATION_IMAGES, True)),
        (FORMER, None, None, Scoring(None, False)),
        (FORMER, None, True, Scoring(None, True)),
        (FORMER, 64, None, Scoring(64, True)),
        ({"demo AP abc-32 heatmap"}, None, None, Scoring(32, True)),
        ({"demo AP abc-32 heatmap", "demo AP abc-64 heatmap"}, None, False, Scoring(64, False)),
        ({"demo AP abc-32 heatmap"}, 16, None, Scoring(16, True)),
    ],
)
def test_a_study_goes_on_as_it_began(
    studies: set[str], images: int | None, stopping: bool | None, expected: Scoring
) -> None:
    assert chosen(studies, images, stopping) == expected


def test_results_of_former_scoring_say_nothing_of_it() -> None:
    assert chosen(FORMER).facts() == {}
    assert chosen(set()).facts() == {"scoring": {"calibration_images": 64, "early_stopping": True}}


def test_networks_need_an_image() -> None:
    with pytest.raises(UserError, match="`calibration_images` 0"):
        chosen(set(), 0)
