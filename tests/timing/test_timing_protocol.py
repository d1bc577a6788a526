"""The protocol: order of visits, discarding under load, labels."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from latency_samples import small_model, small_network, visit_of

from nas.errors import UserError
from nas.timing.load import CpuReading, LoadGate
from nas.timing.loop import time_networks
from nas.timing.protocol import Network, Protocol, SessionVisitor, VisitOutcome, visit_interleaved
from nas.timing.timing import Timing, noise_floor, ratio


class _Clock:
    """A machine of one core: every reading is a second later, and others use `load` of it."""

    def __init__(self, load: list[float]) -> None:
        self._load = iter(load)
        self._now = CpuReading(0.0, {0: 0.0}, 0.0)

    def __call__(self) -> CpuReading:
        busy = self._now.busy[0] + next(self._load, 0.0)
        self._now = CpuReading(self._now.wall + 1, {0: busy}, 0.0)
        return self._now


def _run(
    keys: str,
    *,
    visits: int,
    load: list[float] | None = None,
    seed: int = 0,
    done: dict[str, int] | None = None,
) -> list[VisitOutcome]:
    return list(
        visit_interleaved(
            [small_network(key) for key in keys],
            protocol=Protocol(visits=visits),
            visitor=lambda _: visit_of(),
            gate=LoadGate((0,), read=_Clock(load or [])),
            rng=np.random.default_rng(seed),
            done=done,
        )
    )


def test_rounds_are_complete_and_shuffled() -> None:
    order = [outcome.network.key for outcome in _run("abcdefgh", visits=4)]
    rounds = [order[start : start + 8] for start in range(0, 32, 8)]
    assert all(sorted(turn) == list("abcdefgh") for turn in rounds)
    assert len({tuple(turn) for turn in rounds}) == 4
    assert order == [outcome.network.key for outcome in _run("abcdefgh", visits=4)]
    assert order != [outcome.network.key for outcome in _run("abcdefgh", visits=4, seed=1)]


def test_visits_that_exist_are_not_made_again() -> None:
    outcomes = _run("abc", visits=3, done={"a": 3, "b": 1})
    assert Counter(outcome.network.key for outcome in outcomes) == {"b": 2, "c": 3}


def test_a_loaded_visit_is_discarded_and_made_up_for() -> None:
    # Readings: one when the gate is made, then one before and one after each visit.
    outcomes = _run("ab", visits=2, load=[0, 0, 0.5])
    assert [outcome.discarded for outcome in outcomes] == [True, False, False, False, False]
    assert not any(outcome.visit.loaded for outcome in outcomes[1:])
    assert Counter(outcome.network.key for outcome in outcomes if not outcome.discarded) == {"a": 2, "b": 2}
    assert [outcome.remaining for outcome in outcomes] == [4, 3, 2, 1, 0]


def test_after_three_discarded_visits_the_value_is_taken_and_flagged() -> None:
    outcomes = _run("a", visits=2, load=[0.9] * 100)
    assert [outcome.discarded for outcome in outcomes] == [True, True, True, False, False]
    assert all(outcome.visit.loaded for outcome in outcomes)
    assert outcomes[-1].visit.foreign_load == pytest.approx(0.9)


def test_ten_per_cent_is_still_quiet() -> None:
    assert not any(outcome.discarded for outcome in _run("a", visits=2, load=[0.09] * 100))


def _timing(*visits: object, key: str = "a") -> Timing:
    return Timing(key, key, {}, visits)  # type: ignore[arg-type]


def test_the_label_is_the_shortest_run_where_the_profiler_weighs() -> None:
    timing = _timing(visit_of((3.0, 2.0), wall=4.0), visit_of((2.5, 2.5), wall=4.5))
    assert timing.measured_ms == 4.0
    assert timing.visits[1].label_ms == 4.5


def test_the_label_is_the_sum_of_operator_minima_where_runs_were_disturbed() -> None:
    timing = _timing(visit_of((2.0, 1.0)), visit_of((1.0, 5.0), wall=9.0))
    assert timing.measured_ms == pytest.approx((1.0 + 1.0) / 0.97)
    assert timing.minimum_ms == 4.0
    assert timing.median_ms == pytest.approx(7.0)
    assert timing.p95_ms == pytest.approx(9.85)
    assert timing.cpu_ms == 3.5
    assert timing.outside_ms == 0.25
    assert not timing.loaded
    assert _timing(visit_of(), visit_of(loaded=True)).loaded


def test_the_noise_floor_compares_halves_of_the_visits() -> None:
    # Even visits: 1 + 1, odd visits: 2 + 1.
    noisy = _timing(visit_of((1.0, 2.0)), visit_of((2.0, 1.0)), visit_of((3.0, 1.0)))
    assert noisy.disagreement == pytest.approx((3 - 2) / 2.5)
    assert noise_floor([noisy, _timing(visit_of())]) == pytest.approx(0.4 / 2**0.5)
    assert noise_floor([_timing(visit_of())]) is None


def test_ratios_pair_visits_of_one_round() -> None:
    reference = _timing(*(visit_of((ms,), wall=99.0) for ms in (1.0, 2.0, 4.0)))
    found = ratio(_timing(*(visit_of((ms,), wall=99.0) for ms in (2.0, 4.0, 12.0))), reference)
    assert (found.median, found.low, found.high) == pytest.approx((2.0, 2.0, 3.0))


def test_a_session_is_visited() -> None:
    protocol = Protocol(warmups=2, runs=4)
    shapes = []

    def outside(found: object) -> object:
        shapes.append(found)
        return lambda: None

    visitor = SessionVisitor(protocol, threads=1, rng=np.random.default_rng(0))
    network = replace(small_network(), outside=outside)  # type: ignore[arg-type]
    visit = visitor(network)
    assert len(visit.wall_ms) == len(visit.cpu_ms) == 4
    assert {"Conv"} <= {operator.kind for operator in visit.operators}
    # The batch axis, left open in the model, became 1 and is not part of the shapes.
    assert shapes == [{"maps": (4, 8, 8)}]
    assert all(ms > 0 for ms in (*visit.wall_ms, *visit.cpu_ms))


def test_networks_are_timed_side_by_side() -> None:
    networks = [small_network("a"), small_network("b", 64), small_network("a")]
    timings = time_networks(networks, protocol=Protocol(visits=2, warmups=1, runs=2))
    assert [timing.key for timing in timings] == ["a", "b", "a"]
    assert all(len(timing.visits) == 2 for timing in timings)
    assert timings[0] == timings[2]


@pytest.mark.parametrize(
    ("model", "message"),
    [(lambda: b"no model", "cannot load"), (lambda: small_model(size="height"), "open sizes")],
)
def test_models_that_cannot_be_timed_are_named(model: object, message: str) -> None:
    network = Network(key="x", name="x.onnx", model=model)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=f"x.onnx.*{message}"):
        SessionVisitor(Protocol(), threads=1, rng=np.random.default_rng(0))(network)
