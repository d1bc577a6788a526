"""The training curves of a report."""

import json
import re
from typing import Any

import numpy as np
import pytest

from nas.report.sections import MissingPartError
from nas.report.training import Rows, training_section


def charts(content: str) -> dict[str, dict[str, Any]]:
    found = [
        json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', content)
    ]
    return {chart["label"]: chart for chart in found}


def losses(rows: Rows) -> dict[str, Any]:
    return charts(training_section(rows, {}))["Losses of the supernet over steps"]


def test_weights_of_losses_norms_of_gradients_and_places_are_no_losses() -> None:
    plain = [{"step": step, "rle/largest": 1 / (step + 1)} for step in range(20)]
    others = [
        {**row, "weight/rle/nll": 30.0, "gradient_norm/rle": 200.0, "place_of_random/rle": 0.3}
        for row in plain
    ]
    assert losses(others) == losses(plain)
    assert losses(plain)["y"] == {"label": "loss", "log": True}


def test_a_loss_that_becomes_negative_is_drawn_to_its_end() -> None:
    rows = [{"step": step, "rle/largest": value} for step, value in enumerate(np.linspace(5, -14, 50))]
    chart = losses(rows)
    assert chart["y"]["log"] is False
    (series,) = chart["series"]
    assert len(series["points"]) == 50
    assert series["points"][-1] == {"x": 49.0, "y": -14.0}


def test_long_trainings_are_smoothed_and_thinned_out() -> None:
    rng = np.random.default_rng(0)
    rows = [{"step": step, "rle/largest": 2 + rng.normal()} for step in range(5_000)]
    (series,) = losses(rows)["series"]
    values = [point["y"] for point in series["points"]]
    assert len(values) <= 400
    assert [series["points"][end]["x"] for end in (0, -1)] == [0.0, 4999.0]
    assert np.std(values) < 0.2


def test_places_and_scores_and_fine_tunings_have_charts_of_their_own() -> None:
    rows = [
        {"step": 10, "simcc/largest": 1.0, "place_of_random/simcc": 0.25, "val/largest/AP": 0.5},
        {"step": 20, "simcc/largest": 0.5},
    ]
    content = training_section(rows, {"<mine>": [{"step": 1, "simcc/labels": 3.0}], "empty": []})
    found = charts(content)
    assert list(found) == [
        "Losses of the supernet over steps",
        "Scores on validation images over steps",
        "The place of random networks over steps",
        "Losses of <mine> over steps",
    ]
    assert [series["name"] for series in found["Scores on validation images over steps"]["series"]] == [
        "largest/AP"
    ]
    assert content.count("<details>") == 1
    assert "Training of &lt;mine&gt;" in content


def test_a_run_without_losses_has_no_curve() -> None:
    with pytest.raises(MissingPartError, match="nas train"):
        training_section([{"step": 1, "images": 3}], {})
