"""Early stopping: who will not be among the finalists, and only they, and alike after a kill."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from search_fakes import fake_accuracy, fake_cost, fake_costs

from nas.search.evaluator import Enough, Part
from nas.search.loop import score_networks
from nas.search.pareto import best_accuracies, pareto_front, within
from nas.search.record import EvaluationCache, SearchRecord
from nas.search.samplers import SAMPLERS
from nas.search.stopping import CONFIDENCE, SHARES, STARTUP, EarlyStopping, hopeless
from nas.search.values import STOPPED_AT, Evaluation, Scores, on_part
from nas.space import Arch, ArchManager, SearchSpace

PEOPLE = 400


@dataclass
class PartwiseEvaluator:
    """Pretended accuracies whose parts are off by less and less, the easier half of the people first."""

    key: str = "k"
    noise: float = 0.004
    asked: list[Arch] = field(default_factory=list)
    people: int = 0
    fail_after: int | None = None

    def until(self, arch: Arch, enough: Enough) -> Scores:
        if self.fail_after is not None and len(self.asked) >= self.fail_after:
            raise KeyboardInterrupt
        self.asked.append(arch)
        rng = np.random.default_rng(int(arch.id, 16))
        looks = {}
        for share in SHARES:
            off = 0.05 + self.noise * rng.normal() * np.sqrt(1 / share - 1)
            accuracy = fake_accuracy(arch) + float(off)
            looks[on_part("AP", share)] = accuracy
            estimate = enough(Part(share, round(PEOPLE * share), accuracy))
            if estimate is not None:
                self.people += round(PEOPLE * share)
                return {"AP": estimate, STOPPED_AT: round(PEOPLE * share), **looks}
        self.people += PEOPLE
        return {"AP": fake_accuracy(arch), **looks}


def looked_at(archs: Sequence[Arch], evaluator: PartwiseEvaluator, *, finalists: int = 3) -> list[Evaluation]:
    """These networks, one after the other."""
    history: list[Evaluation] = []
    stopper = EarlyStopping(
        evaluator, metric="AP", history=lambda: history, cost=fake_cost, finalists=finalists
    )
    for arch in archs:
        history.append(Evaluation.of(arch, fake_cost(arch), stopper(arch), metric="AP"))
    return history


@pytest.fixture(scope="module")
def archs(space: SearchSpace) -> list[Arch]:
    rng = np.random.default_rng(0)
    return [ArchManager(space).sample(rng) for _ in range(150)]


@pytest.fixture(scope="module")
def stopped(archs: Sequence[Arch]) -> list[Evaluation]:
    return looked_at(archs, PartwiseEvaluator())


def test_finalists_and_front_are_those_of_a_search_that_stops_nobody(
    archs: Sequence[Arch], stopped: Sequence[Evaluation]
) -> None:
    everybody = looked_at(archs, PartwiseEvaluator(), finalists=999)
    assert all(item.stopped_at is None for item in everybody)
    assert sum(item.stopped_at is not None for item in stopped) > len(archs) / 3
    for budget in np.quantile([item.predicted_ms for item in everybody], [0.2, 0.5, 0.8, 1.0]).tolist():
        best = [item.arch for item in within(everybody, budget)[:3]]
        assert best == [item.arch for item in within(stopped, budget)[:3]]
    assert [item.arch for item in pareto_front(stopped)] == [item.arch for item in pareto_front(everybody)]


def test_most_of_the_people_are_not_looked_at(archs: Sequence[Arch]) -> None:
    evaluator = PartwiseEvaluator()
    history = looked_at(archs, evaluator)
    seen = [PEOPLE if item.stopped_at is None else item.stopped_at for item in history]
    assert evaluator.people == sum(seen) < 0.8 * PEOPLE * len(archs)


def test_nobody_is_stopped_before_enough_is_known(stopped: Sequence[Evaluation]) -> None:
    assert all(item.stopped_at is None for item in stopped[:STARTUP])


def test_an_estimate_is_about_the_accuracy(stopped: Sequence[Evaluation]) -> None:
    """The first people are the easier ones: what they say is corrected by what it was worth before."""
    errors = [item.accuracy - fake_accuracy(item.arch) for item in stopped if item.stopped_at is not None]
    assert abs(float(np.mean(errors))) < 0.01
    assert max(abs(error) for error in errors) < 0.05


def search(space: SearchSpace, folder: Path, evaluator: PartwiseEvaluator) -> list[Evaluation]:
    """A whole search, kept in a folder."""
    folder.mkdir(exist_ok=True)
    record = SearchRecord(
        space, storage=f"sqlite:///{folder / 'study.db'}", key="k", metric="AP", cost=fake_cost
    )
    stopper = EarlyStopping(evaluator, metric="AP", history=record.history, cost=fake_cost, finalists=1)
    return score_networks(
        SAMPLERS["random"](space, fake_costs, budgets_ms=[1e9], seed=0),
        stopper,
        record=record,
        cache=EvaluationCache(folder / "evaluations.jsonl"),
        budgets_ms=[1e9],
        trials=20,
        report=lambda _: None,
    )


@pytest.mark.slow
def test_a_killed_search_stops_the_same_and_keeps_no_estimate_for_others(
    space: SearchSpace, tmp_path: Path
) -> None:
    undisturbed = search(space, tmp_path / "whole", PartwiseEvaluator())
    assert 0 < sum(item.stopped_at is not None for item in undisturbed) < 10
    for stop in (12, 4):
        with pytest.raises(KeyboardInterrupt):
            search(space, tmp_path / "killed", PartwiseEvaluator(fail_after=stop))
    resumed = search(space, tmp_path / "killed", PartwiseEvaluator())
    assert [(i.arch, i.scores) for i in resumed] == [(i.arch, i.scores) for i in undisturbed]
    cache = EvaluationCache(tmp_path / "killed" / "evaluations.jsonl")
    for item in resumed:
        assert (cache.get("k", item.arch) is None) == (item.stopped_at is not None)


def test_estimates_are_on_no_front(space: SearchSpace) -> None:
    manager = ArchManager(space)
    items = [
        Evaluation.of(manager.smallest(), 1.0, {"AP": 0.2, "AP/low": 0.1, "AP/high": 0.3}, metric="AP"),
        Evaluation.of(manager.largest(), 2.0, {"AP": 0.9, STOPPED_AT: 50}, metric="AP"),
    ]
    assert (items[0].interval, items[0].stopped_at) == ((0.1, 0.3), None)
    assert (items[1].interval, items[1].stopped_at) == (None, 50)
    assert pareto_front(items) == items[:1]
    assert best_accuracies(items, [3.0]) == {3.0: 0.2}


def known(accuracies: np.ndarray, parts: np.ndarray, arch: Arch) -> list[Evaluation]:
    name = on_part("AP", 0.25)
    return [
        Evaluation(arch, 1.0, accuracy, {"AP": accuracy, name: part})
        for accuracy, part in zip(accuracies.tolist(), parts.tolist(), strict=True)
    ]


def test_who_would_have_got_there_is_stopped_as_seldom_as_is_promised(space: SearchSpace) -> None:
    """Networks exactly as accurate as is needed: of a hundred, one is stopped; of those far below, all."""
    rng, arch = np.random.default_rng(0), ArchManager(space).smallest()
    wrong = right = 0
    draws = 1500
    for _ in range(draws):
        accuracies = rng.uniform(0.2, 0.5, STARTUP)
        history = known(accuracies, accuracies + 0.03 + 0.02 * rng.normal(size=STARTUP), arch)
        off = float(0.03 + 0.02 * rng.normal())
        wrong += hopeless(Part(0.25, 100, 0.5 + off), history, needed=0.5, metric="AP") is not None
        right += hopeless(Part(0.25, 100, 0.3 + off), history, needed=0.5, metric="AP") is not None
    assert wrong / draws == pytest.approx(1 - CONFIDENCE, abs=0.008)
    assert right / draws > 0.99


def test_parts_of_too_few_networks_say_nothing(space: SearchSpace) -> None:
    accuracies, arch = np.linspace(0.2, 0.5, STARTUP), ArchManager(space).smallest()
    history = known(accuracies, accuracies, arch)
    part = Part(0.25, 100, 0.0)
    assert hopeless(part, history, needed=0.5, metric="AP") is not None
    assert hopeless(part, history[1:], needed=0.5, metric="AP") is None
    assert hopeless(part, history, needed=0.5, metric="AR") is None
    assert hopeless(Part(0.5, 200, 0.0), history, needed=0.5, metric="AP") is None
