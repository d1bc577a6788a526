"""What decides where finalists can hardly be told apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from nas.search.finalists import Finalist, Finals, best_within, measure_finalists
from nas.search.limits import Limits
from nas.search.measurement import Measurement
from nas.search.settling import most_accurate, settle
from nas.search.values import STOPPED_AT, Evaluation
from nas.space import Arch, ArchManager, SearchSpace

NOISE = 0.03


def timed(ms: float, noise: float = NOISE) -> Measurement:
    return Measurement(
        ms,
        network_ms=ms,
        grouping_ms=0.0,
        median_ms=ms,
        p95_ms=ms,
        loaded=False,
        total_p95_ms=ms,
        noise=noise,
    )


@dataclass
class FakeJudge:
    """Networks whose accuracies lie within `width` are tied; a closer look gives what `truth` says."""

    width: float = 0.0
    truth: Mapping[str, float] = field(default_factory=dict)
    looked: list[str] = field(default_factory=list)

    def tied(self, one: Evaluation, other: Evaluation) -> bool:
        return abs(one.accuracy - other.accuracy) <= self.width

    def closer(self, item: Evaluation) -> Evaluation:
        self.looked.append(item.arch.id)
        return replace(item, accuracy=self.truth.get(item.arch.id, item.accuracy))


@dataclass
class SecondTiming:
    times: Mapping[str, float]
    asked: list[set[str]] = field(default_factory=list)

    def __call__(self, archs: Sequence[Arch]) -> dict[str, Measurement]:
        self.asked.append({arch.id for arch in archs})
        return {arch.id: timed(self.times[arch.id]) for arch in archs}


@pytest.fixture
def archs(space: SearchSpace) -> list[Arch]:
    rng = np.random.default_rng(0)
    return list({ArchManager(space).sample(rng): None for _ in range(20)})[:4]


def finals(archs: Sequence[Arch], accuracies: Sequence[float], times: Sequence[float]) -> Finals:
    """Of one budget, 10 ms."""
    measured = tuple(
        Finalist(Evaluation(arch, ms, accuracy), timed(ms))
        for arch, accuracy, ms in zip(archs, accuracies, times, strict=False)
    )
    return Finals({10.0: best_within(measured, 10.0, Limits())}, measured)


def test_what_is_clear_is_neither_scored_nor_timed_again(archs: list[Arch]) -> None:
    first = finals(archs, [0.5, 0.4, 0.3], [9.0, 8.0, 10.1])
    judge, again = FakeJudge(width=0.05), SecondTiming({})
    settled = settle(first, judge, again=again)
    assert settled.winners == first.winners
    assert settled.tied == {10.0: ()}
    assert (judge.looked, again.asked) == ([], [])


@pytest.mark.parametrize(("second", "winner"), [(9.7, 0), (10.05, 1)])
def test_a_budget_missed_by_less_than_the_noise_is_measured_again(
    archs: list[Arch], second: float, winner: int
) -> None:
    """The mean of both timings decides: 9.95 keeps 10 ms, 10.125 does not."""
    again = SecondTiming({archs[0].id: second})
    settled = settle(finals(archs, [0.5, 0.4], [10.2, 8.0]), FakeJudge(), again=again)
    assert again.asked == [{archs[0].id}]
    (found,) = settled.winners.values()
    assert found is not None
    assert found.item.arch == archs[winner]
    first = next(f for f in settled.measured if f.item.arch == archs[0])
    assert first.measured.ms == pytest.approx((10.2 + second) / 2)
    assert [each.ms for each in first.timings] == [10.2, second]


def test_a_budget_kept_by_less_than_the_noise_is_measured_again_too(archs: list[Arch]) -> None:
    again = SecondTiming({archs[0].id: 10.4})
    settled = settle(finals(archs, [0.5, 0.4], [9.9, 8.0]), FakeJudge(), again=again)
    (found,) = settled.winners.values()
    assert found is not None
    assert found.item.arch == archs[1]


def test_who_misses_by_more_than_the_noise_stays_out(archs: list[Arch]) -> None:
    again = SecondTiming({})
    settled = settle(finals(archs, [0.5, 0.4], [10.4, 8.0]), FakeJudge(), again=again)
    assert again.asked == []
    (found,) = settled.winners.values()
    assert found is not None
    assert found.item.arch == archs[1]


def test_ties_are_scored_and_timed_again_and_what_remains_is_told(archs: list[Arch]) -> None:
    judge = FakeJudge(width=0.02, truth={archs[0].id: 0.49, archs[1].id: 0.5})
    again = SecondTiming({archs[0].id: 8.2, archs[1].id: 7.4})
    settled = settle(finals(archs, [0.5, 0.485, 0.4], [8.0, 7.0, 6.0]), judge, again=again)
    assert set(judge.looked) == {archs[0].id, archs[1].id}
    assert again.asked == [{archs[0].id, archs[1].id}]
    (found,) = settled.winners.values()
    assert found is not None
    assert (found.item.arch, found.item.accuracy, found.measured.ms) == (archs[1], 0.5, pytest.approx(7.2))
    assert settled.tied == {10.0: (archs[0].id,)}


def test_ties_that_more_images_break_are_not_timed_again(archs: list[Arch]) -> None:
    judge = FakeJudge(width=0.02, truth={archs[0].id: 0.45, archs[1].id: 0.5})
    again = SecondTiming({})
    settled = settle(finals(archs, [0.5, 0.485], [8.0, 7.0]), judge, again=again)
    (found,) = settled.winners.values()
    assert found is not None
    assert found.item.arch == archs[1]
    assert (again.asked, settled.tied) == ([], {10.0: ()})


def test_who_comes_to_lead_is_looked_at_as_closely(archs: list[Arch]) -> None:
    """More images put the first two behind the third, which then is tied with one of them."""
    judge = FakeJudge(width=0.02, truth={archs[0].id: 0.45, archs[1].id: 0.46})
    again = SecondTiming({arch.id: 7.0 for arch in archs})
    settled = settle(finals(archs, [0.5, 0.49, 0.47], [8.0, 7.0, 6.0]), judge, again=again)
    assert set(judge.looked) == {arch.id for arch in archs[:3]}
    (found,) = settled.winners.values()
    assert found is not None
    assert found.item.arch == archs[2]


def test_a_limit_is_kept_by_whoever_leads(archs: list[Arch]) -> None:
    first = finals(archs, [0.5, 0.4], [9.0, 8.0])
    settled = settle(first, FakeJudge(), again=SecondTiming({}), limits=Limits(p95_ms=8.5))
    (found,) = settled.winners.values()
    assert found is not None
    assert found.item.arch == archs[1]


def test_a_stopped_network_is_scored_to_the_end_before_it_is_a_finalist(archs: list[Arch]) -> None:
    """It comes besides those that were, and wins by what it really is."""
    history = [
        Evaluation(archs[0], 3.0, 0.5, {"AP": 0.5}),
        Evaluation(archs[1], 3.0, 0.6, {"AP": 0.6, STOPPED_AT: 40}),
        Evaluation(archs[2], 3.0, 0.4, {"AP": 0.4}),
        Evaluation(archs[3], 3.0, 0.3, {"AP": 0.3, STOPPED_AT: 40}),
    ]
    asked: list[Arch] = []

    def whole(item: Evaluation) -> Evaluation:
        asked.append(item.arch)
        return Evaluation(item.arch, item.predicted_ms, 0.45, {"AP": 0.45})

    found = measure_finalists(
        history, [5.0], lambda a: {arch.id: timed(3.0) for arch in a}, per_budget=2, whole=whole
    )
    assert asked == [archs[1]]
    assert {f.item.arch for f in found.measured} == set(archs[:3])
    winner = found.winners[5.0]
    assert winner is not None
    assert winner.item.arch == archs[0]


def test_of_networks_that_nobody_times_the_tied_ones_are_looked_at_more_closely(archs: list[Arch]) -> None:
    finalists = [Evaluation(arch, 1.0 - 0.1 * i, 0.6 - 0.01 * i) for i, arch in enumerate(archs[:3])]
    first, second, third = (arch.id for arch in archs[:3])
    clear = FakeJudge(width=0.001)
    assert most_accurate(finalists, clear) == (finalists[0], ())
    assert clear.looked == []
    judge = FakeJudge(width=0.015, truth={first: 0.58, second: 0.59})
    best, tied = most_accurate(finalists, judge)
    assert (best.arch.id, best.accuracy, tied) == (second, 0.59, (first,))
    assert judge.looked == [first, second]
    # Of equally accurate ones the faster is taken.
    equal = FakeJudge(width=1.0, truth={first: 0.5, second: 0.5, third: 0.5})
    assert most_accurate(finalists, equal)[0].arch.id == third
