from collections.abc import Sequence

import numpy as np
import pytest

from nas.search.finalists import measure_finalists
from nas.search.measurement import Measurement
from nas.search.values import Evaluation
from nas.space import Arch, ArchManager, SearchSpace


def measured(ms: float) -> Measurement:
    return Measurement(ms, network_ms=ms, grouping_ms=0.0, median_ms=ms, p95_ms=ms, loaded=False)


class Stopwatch:
    """Measures `scale` times the predicted ms, or what an exception says."""

    def __init__(
        self, history: Sequence[Evaluation], scale: float, exceptions: dict[str, float] | None = None
    ) -> None:
        self.times = {item.arch.id: scale * item.predicted_ms for item in history} | (exceptions or {})
        self.rounds: list[list[str]] = []

    def __call__(self, archs: Sequence[Arch]) -> dict[str, Measurement]:
        self.rounds.append([arch.id for arch in archs])
        return {arch.id: measured(self.times[arch.id]) for arch in archs}


@pytest.fixture
def history(space: SearchSpace) -> list[Evaluation]:
    """Ten networks of 1 .. 10 ms, each more accurate than the one before."""
    rng = np.random.default_rng(0)
    archs = list({ArchManager(space).sample(rng): None for _ in range(20)})[:10]
    return [Evaluation(arch, float(ms), ms / 100) for ms, arch in enumerate(archs, start=1)]


def test_the_most_accurate_that_is_measured_within_wins(history: list[Evaluation]) -> None:
    late = {history[4].arch.id: 5.5}
    watch = Stopwatch(history, 0.99, late)
    finals = measure_finalists(history, [5.0, 8.0], watch, per_budget=2)
    assert finals.winners[5.0] is not None
    assert finals.winners[5.0].item == history[3]
    assert finals.winners[5.0].measured.ms <= 5.0
    assert finals.winners[8.0] is not None
    assert finals.winners[8.0].item == history[7]
    assert len(watch.rounds) == 1
    assert len(watch.rounds[0]) == 4


def test_further_networks_are_measured_while_a_budget_is_empty(history: list[Evaluation]) -> None:
    watch = Stopwatch(history, 1.3)
    finals = measure_finalists(history, [5.0], watch, per_budget=1)
    winner = finals.winners[5.0]
    assert winner is not None
    assert winner.item == history[2]
    # The second round leaves 4 ms (5.2 measured) out, because the first one showed the predictor's scale.
    assert watch.rounds == [[history[4].arch.id], [history[2].arch.id]]


def test_what_was_dropped_is_kept_in_the_record(history: list[Evaluation]) -> None:
    finals = measure_finalists(history, [5.0], Stopwatch(history, 1.3), per_budget=1)
    assert {finalist.item.arch for finalist in finals.measured} == {history[4].arch, history[2].arch}


def test_a_budget_that_nothing_meets_has_no_winner(history: list[Evaluation]) -> None:
    finals = measure_finalists(history, [1.0, 3.0], Stopwatch(history, 2.0), per_budget=3)
    assert finals.winners[1.0] is None
    assert finals.winners[3.0] is not None
    assert finals.winners[3.0].item == history[0]


def test_a_fast_finalist_of_a_larger_budget_may_win_a_smaller_one(history: list[Evaluation]) -> None:
    surprise = {history[6].arch.id: 4.0}
    finals = measure_finalists(history, [5.0, 7.0], Stopwatch(history, 1.0, surprise), per_budget=1)
    assert finals.winners[5.0] is not None
    assert finals.winners[5.0].item == history[6]
