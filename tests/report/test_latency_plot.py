from pathlib import Path

import cv2
import numpy as np
import pytest

from nas.report.latency_plot import plot_predicted

MEASURED = [1.0, 2.0, 5.0, 20.0]
PREDICTED = [1.05, 1.8, 5.2, 30.0]


def svg_of(path: Path, **options: object) -> str:
    """The plot's text; SVG keeps words and counts readable when text stays text."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": "none"}):
        plot_predicted(path, predicted=PREDICTED, measured=MEASURED, title="A title", **options)  # type: ignore[arg-type]
    return path.read_text()


def test_the_plot_says_what_it_shows(tmp_path: Path) -> None:
    groups = ["held out", "held out", "fitted", "others"]
    svg = svg_of(tmp_path / "new" / "plot.svg", groups=groups)
    for text in ("A title", "held out (2)", "fitted (1)", "others (1)", "measured ms"):
        assert text in svg
    # Errors are 5, 10, 4 and 50 %.
    assert "4 networks: mean error 17.2%, 75% within 10%" in svg


@pytest.mark.parametrize("times", [[3.0], [0.1, 400.0], [5.0, 5.2]])
def test_any_range_of_times_makes_a_picture(times: list[float], tmp_path: Path) -> None:
    plot_predicted(tmp_path / "plot.png", predicted=times, measured=times, title="t")
    image = cv2.imread(str(tmp_path / "plot.png"))
    assert image is not None
    assert image.shape[0] > 600
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 10


@pytest.mark.parametrize(
    ("predicted", "measured", "groups", "said"),
    [
        ([1.0], [1.0, 2.0], None, "one length"),
        ([], [], None, "one length"),
        ([1.0], [1.0], ["a", "b"], "2 groups for 1"),
        ([0.0], [1.0], None, "positive"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    tmp_path: Path, predicted: list[float], measured: list[float], groups: list[str] | None, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        plot_predicted(tmp_path / "p.png", predicted=predicted, measured=measured, title="", groups=groups)
