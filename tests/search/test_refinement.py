"""Networks measured during a search, and the predictor refitted with them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from search_fakes import FakeBench, FakePredictor, fake_accuracy, fake_cost

from nas.errors import UserError
from nas.latency import EndToEnd
from nas.search import refinement as module
from nas.search.choice import choose_networks
from nas.search.estimate import Estimate
from nas.search.refinement import Refinement, RefinementNetwork
from nas.search.values import Evaluation, Interval
from nas.space import Arch, ArchManager, SearchSpace
from nas.timing import Timing, Visit
from nas.timing.profile import OperatorTime

TRIALS = 30


@pytest.fixture(scope="module")
def history(space: SearchSpace) -> list[Evaluation]:
    rng = np.random.default_rng(0)
    archs = list(dict.fromkeys(ArchManager(space).sample(rng) for _ in range(90)))[:60]
    return [Evaluation(arch, fake_cost(arch), fake_accuracy(arch)) for arch in archs]


@pytest.fixture(scope="module")
def budgets(history: list[Evaluation]) -> tuple[float, float]:
    costs = [item.predicted_ms for item in history]
    return float(np.quantile(costs, 0.4)), float(np.quantile(costs, 0.8))


def narrow(arch: Arch) -> Interval:
    ms = fake_cost(arch)
    return Interval(ms, 0.999 * ms, 1.001 * ms)


def test_finalists_to_be_take_turns_with_what_least_is_known_of(
    history: list[Evaluation], budgets: tuple[float, float]
) -> None:
    def interval(arch: Arch) -> Interval:
        ms, half = fake_cost(arch), 0.5 if arch == odd.arch else 0.001
        return Interval(ms, (1 - half) * ms, (1 + half) * ms)

    near = [item for item in history if 0.8 * budgets[0] <= item.predicted_ms <= budgets[0]]
    odd = sorted(near, key=lambda item: item.accuracy)[-2]
    best = [
        max((i for i in history if i.predicted_ms <= budget and i != odd), key=lambda item: item.accuracy)
        for budget in budgets
    ]
    chosen = choose_networks(history, budgets, count=3, interval=interval, unmeasured=lambda archs: archs)
    assert chosen[1] == odd
    assert {item.arch.id for item in chosen} == {odd.arch.id, *(item.arch.id for item in best)}


def test_what_was_measured_is_not_chosen_again(
    history: list[Evaluation], budgets: tuple[float, float]
) -> None:
    def choose(known: set[str], count: int) -> list[str]:
        chosen = choose_networks(
            history,
            budgets,
            count=count,
            interval=narrow,
            unmeasured=lambda archs: [arch for arch in archs if arch.id not in known],
        )
        return [item.arch.id for item in chosen]

    first = choose(set(), 4)
    assert len(set(first)) == 4
    assert not set(first) & set(choose(set(first), 4))


def test_a_network_predicted_over_the_budget_is_of_interest_while_it_may_be_within(
    history: list[Evaluation],
) -> None:
    ordered = sorted(history, key=lambda item: item.predicted_ms)
    late = max(ordered[10:], key=lambda item: item.accuracy)
    budget = 0.98 * late.predicted_ms

    def choose(low: float) -> list[Evaluation]:
        return choose_networks(
            history,
            [budget],
            count=1,
            interval=lambda arch: Interval(fake_cost(arch), low * fake_cost(arch), 1.1 * fake_cost(arch)),
            unmeasured=lambda archs: archs,
        )

    assert choose(0.97)[0] == late
    assert choose(0.99)[0].predicted_ms <= budget / 0.99


def test_a_network_beyond_another_limit_is_not_measured(
    history: list[Evaluation], budgets: tuple[float, float]
) -> None:
    def choose(items: list[Evaluation]) -> list[str]:
        chosen = choose_networks(items, budgets, count=4, interval=narrow, unmeasured=lambda archs: archs)
        return [item.arch.id for item in chosen]

    first = choose(history)[0]
    limited = [replace(item, overrun=0.1) if item.arch.id == first else item for item in history]
    assert first not in choose(limited)


@pytest.fixture
def refine(tmp_path: Path, budgets: tuple[float, float], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a refinement as a search would find it in its folder."""
    monkeypatch.setattr(module, "LatencyPredictor", FakePredictor)
    given = tmp_path / "given.json"
    FakePredictor(1.0).save(given)

    def make(
        *, wanted: int = 6, fail_after: int | None = None, source: str = "given", study: str = "s"
    ) -> tuple[Refinement, FakeBench]:
        bench = FakeBench(tmp_path / "measured.txt", fail_after=fail_after)
        base = Estimate(
            FakePredictor.load(given),  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            end_to_end=EndToEnd(),
            source=source,
        )
        refinement = Refinement(
            base,
            file=tmp_path / "refinement.json",
            study=study,
            budgets_ms=budgets,
            wanted=wanted,
            bench=bench,  # type: ignore[arg-type]
            # Every network brings the scale nearer to what is measured.
            refit=lambda: FakePredictor(1.0 + 0.25 * min(1.0, len(bench.measured()) / 6)),  # type: ignore[arg-type, return-value]
        )
        return refinement, bench

    return make


def search_through(refinement: Refinement, history: list[Evaluation], *, trials: int = TRIALS) -> Estimate:
    estimate = refinement.estimate()
    for milestone in refinement.milestones(trials):
        scored = history[:milestone]
        estimate = refinement(scored, scored=milestone, trials=trials)
    return estimate


def test_a_search_is_refined_after_each_third(refine: Any, history: list[Evaluation], tmp_path: Path) -> None:
    refinement, bench = refine()
    given = (tmp_path / "given.json").read_text()
    estimate = search_through(refinement, history)
    assert len(bench.measured()) == len(set(bench.measured())) == 6
    rounds = refinement.to_json()
    assert [(done["scored"], len(done["networks"])) for done in rounds] == [(10, 2), (20, 2), (30, 2)]
    assert [done["before"] for done in rounds] == ["given", rounds[0]["after"], rounds[1]["after"]]
    assert estimate.source == rounds[-1]["after"]
    arch = history[0].arch
    assert estimate(arch) == pytest.approx(1.25 * fake_cost(arch))
    # What was predicted before stays as it was: by the predictor of then.
    first = rounds[0]["networks"][0]
    cost = next(fake_cost(item.arch) for item in history if item.arch.id == first["arch"])
    assert first["predicted_ms"] == pytest.approx(cost)
    assert first["measured_ms"] > 1.1 * cost
    assert (tmp_path / "given.json").read_text() == given
    assert len(list(tmp_path.glob("predictor-*.json"))) == 3


def test_a_second_search_measures_nothing(refine: Any, history: list[Evaluation], tmp_path: Path) -> None:
    estimate = search_through(refine()[0], history)
    before = (tmp_path / "refinement.json").read_text()
    again, bench = refine(fail_after=0)
    assert again.estimate().source == estimate.source
    assert search_through(again, history).source == estimate.source
    assert len(bench.measured()) == 6
    assert (tmp_path / "refinement.json").read_text() == before


@pytest.mark.parametrize("killed_after", [1, 2, 5])
def test_a_killed_search_goes_on_as_if_it_had_not_been(
    refine: Any, history: list[Evaluation], tmp_path: Path, killed_after: int
) -> None:
    whole, bench = refine(study="whole")
    search_through(whole, history)
    measured = bench.measured()
    bench.file.unlink()
    with pytest.raises(KeyboardInterrupt):
        search_through(refine(fail_after=killed_after)[0], history)
    resumed, bench = refine()
    search_through(resumed, history)
    assert bench.measured() == measured
    assert resumed.to_json() == whole.to_json()


def test_another_predictor_starts_anew_and_leaves_the_record_of_the_former(
    refine: Any, history: list[Evaluation], tmp_path: Path
) -> None:
    search_through(refine()[0], history)
    other, bench = refine(source="other")
    assert other.estimate().source == "other"
    search_through(other, history)
    assert len(bench.measured()) == 12
    assert len(json.loads((tmp_path / "refinement.json").read_text())["searches"]) == 2


def test_more_networks_are_measured_when_more_are_wanted(refine: Any, history: list[Evaluation]) -> None:
    search_through(refine(wanted=3)[0], history)
    more, bench = refine(wanted=5)
    search_through(more, history)
    assert len(bench.measured()) == 5


def test_a_longer_search_spreads_what_is_left(refine: Any, history: list[Evaluation]) -> None:
    search_through(refine(wanted=2)[0], history, trials=20)
    more, _ = refine(wanted=6)
    search_through(more, history, trials=60)
    assert [(done["scored"], len(done["networks"])) for done in more.to_json()] == [
        (10, 1), (20, 1), (40, 2), (60, 2),
    ]  # fmt: skip


def test_a_missing_predictor_is_named(refine: Any, history: list[Evaluation], tmp_path: Path) -> None:
    search_through(refine()[0], history)
    for file in tmp_path.glob("predictor-*.json"):
        file.unlink()
    with pytest.raises(UserError, match=r"predictor-.*is missing"):
        refine()[0].estimate()


def test_what_is_measured_under_load_has_a_wider_interval() -> None:
    tried = RefinementNetwork("a", {}, predicted_ms=2.0, low_ms=1.9, high_ms=2.1)
    visit = Visit((OperatorTime("op", "Conv", 2.0),), (2.0,), (2.0,), 0.0, "2030-01-01T00:00:00+00:00")
    quiet = tried.with_timing(Timing("a", "a", {}, (visit,)))
    assert (quiet.low_ms, quiet.high_ms, quiet.loaded) == (1.9, 2.1, False)
    busy = tried.with_timing(Timing("a", "a", {}, (visit, replace(visit, loaded=True, foreign_load=0.5))))
    assert (busy.predicted_ms, busy.loaded) == (2.0, True)
    assert busy.low_ms < 1.9
    assert busy.high_ms > 2.1
