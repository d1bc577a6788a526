"""Where random networks stand between the smallest and the largest."""

import logging
from pathlib import Path

import pytest
from test_train_resume import Killed, before_step, die, same_run
from tiny_training import RecipeMaker

from nas.runs import read_metrics
from nas.train import train_supernet
from nas.train.place import WINDOW, Recent, place_of_random, places, remember
from nas.train.state import Counters


def losses(head: str, *, smallest: float, random: float, largest: float) -> dict[str, float]:
    return {f"{head}/smallest": smallest, f"{head}/random": random, f"{head}/largest": largest}


@pytest.mark.parametrize(
    ("random", "place"), [(2.0, 0.0), (1.0, 1.0), (1.5, 0.5), (1.75, 0.25), (2.5, -0.5), (0.5, 1.5)]
)
def test_0_is_the_smallest_and_1_the_largest(random: float, place: float) -> None:
    assert place_of_random(2.0, random, 1.0) == place


def test_likelihoods_may_be_negative() -> None:
    assert place_of_random(-1.0, -4.0, -5.0) == 0.75


@pytest.mark.parametrize("largest", [2.0, 1.99, 3.0, float("nan")])
def test_nothing_is_told_where_the_largest_is_not_better(largest: float) -> None:
    assert place_of_random(2.0, 1.9, largest) is None


def test_only_steps_that_trained_all_three_count() -> None:
    recent: Recent = {}
    step = losses("heatmap", smallest=2.0, random=1.5, largest=1.0)
    remember(recent, step)
    # Easier images, and no smallest network to compare with.
    remember(recent, {"heatmap/largest": 0.1, "heatmap/random": 0.2, "gradient_norm/heatmap": 3.0})
    remember(recent, {"heatmap/largest": 0.1, "heatmap/smallest": 0.3})
    assert places(recent) == {"place_of_random/heatmap": 0.5}


def test_heads_are_told_apart_and_old_steps_fade_out() -> None:
    counters = Counters()
    for _ in range(5 * WINDOW):
        counters.add(losses("simcc", smallest=3.0, random=3.0, largest=2.0))
        counters.add(losses("heatmap", smallest=2.0, random=1.0, largest=1.0))
    assert counters.take_means()["place_of_random/simcc"] == pytest.approx(0.0)
    for step in range(3 * WINDOW):
        counters.add(losses("simcc", smallest=3.0, random=2.0, largest=2.0))
        if step == 0:
            assert counters.take_means()["place_of_random/simcc"] < 0.02
    means = counters.take_means()
    assert 0.9 < means["place_of_random/simcc"] < 1
    assert means["place_of_random/heatmap"] == pytest.approx(1.0)


def test_a_run_tells_it_in_metrics_and_progress_and_keeps_it_when_killed(
    make_config: RecipeMaker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = make_config(log_every=1, optimizer={"lr": 5e-3})
    with caplog.at_level(logging.INFO):
        straight = train_supernet(config, tmp_path / "straight")
    recent: Recent = {}
    told = 0
    for line in read_metrics(straight.metrics_file):
        remember(recent, {name: value for name, value in line.items() if value is not None})
        found = {name: value for name, value in line.items() if name.startswith("place_of_random/")}
        assert found == pytest.approx(places(recent))
        told += len(found)
    assert told > 0
    assert any("place_of_random/" in record.getMessage() for record in caplog.records)
    with before_step(8, die), pytest.raises(Killed):
        train_supernet(config, tmp_path / "killed")
    same_run(straight, train_supernet(config, tmp_path / "killed"))
