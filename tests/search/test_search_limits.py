"""Hard limits besides milliseconds."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from search_fakes import FakeEvaluator, fake_cost, fake_costs, search_in_memory

from nas.errors import UserError
from nas.graph import Tracer
from nas.latency.footprint import footprint
from nas.search.finalists import measure_finalists
from nas.search.limits import Limits, Requirements, no_overrun
from nas.search.loop import score_networks
from nas.search.measurement import Measurement
from nas.search.pareto import pareto_front, within
from nas.search.record import EvaluationCache, SearchRecord
from nas.search.samplers import SAMPLERS
from nas.search.values import Evaluation
from nas.space import Arch, ArchManager, SearchSpace

RATIO = 1.25


@pytest.fixture(scope="module")
def tracer(space: SearchSpace) -> Tracer:
    return Tracer(space, "coco17")


def requirements(tracer: Tracer, **limits: float) -> Requirements:
    return Requirements(Limits(**limits), tracer, precision="fp32")


def measured(ms: float, *, p95: float | None = None, memory: int = 0, file: int = 0) -> Measurement:
    slow = ms if p95 is None else p95
    return Measurement(
        ms,
        network_ms=ms,
        grouping_ms=0.0,
        median_ms=ms,
        p95_ms=slow,
        loaded=False,
        total_p95_ms=slow,
        file_bytes=file,
        peak_memory_bytes=memory,
    )


def test_overrun_adds_the_shares_by_which_limits_are_exceeded(space: SearchSpace, tracer: Tracer) -> None:
    arch = ArchManager(space).largest()
    found = footprint(tracer(arch))
    file_mb, memory_mb = found.file_bytes / 1e6, found.peak_memory_bytes / 1e6
    slow = RATIO * fake_cost(arch)
    over = requirements(tracer, p95_ms=slow / 2, memory_mb=memory_mb / 3, file_mb=2 * file_mb)
    assert over.overrun(fake_cost, p95_ratio=RATIO)(arch) == pytest.approx(1 + 2)
    kept = requirements(tracer, p95_ms=slow, memory_mb=memory_mb, file_mb=file_mb)
    assert kept.overrun(fake_cost, p95_ratio=RATIO)(arch) == pytest.approx(0)
    assert requirements(tracer).overrun(fake_cost, p95_ratio=RATIO) is no_overrun


def test_int8_networks_have_smaller_files(space: SearchSpace, tracer: Tracer) -> None:
    arch = ArchManager(space).largest()
    limits = Limits(file_mb=0.6 * footprint(tracer(arch)).file_bytes / 1e6)
    overruns = [
        Requirements(limits, tracer, precision=precision).overrun(fake_cost, p95_ratio=1.0)(arch)
        for precision in ("fp32", "int8")
    ]
    assert overruns[0] > 0
    assert overruns[1] == 0


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name != "gp"])
def test_no_network_exceeds_a_limit(space: SearchSpace, tracer: Tracer, sampler: str) -> None:
    manager = ArchManager(space)
    budget = fake_cost(manager.largest())
    rng = np.random.default_rng(1)
    sizes = sorted(footprint(tracer(manager.sample(rng))).file_bytes for _ in range(40))
    # A third of the space: a budget alone would be far beyond it.
    limit = sizes[13] / 1e6
    overrun = requirements(tracer, file_mb=limit).overrun(fake_cost, p95_ratio=RATIO)
    drawn = search_in_memory(
        SAMPLERS[sampler](space, fake_costs, budgets_ms=[budget], seed=0, overrun=overrun), 24
    )
    assert len(set(drawn)) == 24
    assert all(footprint(tracer(arch)).file_bytes <= 1e6 * limit for arch in drawn)


def test_limits_and_a_budget_hold_together(space: SearchSpace, tracer: Tracer) -> None:
    budget = fake_cost(ArchManager(space).largest())
    overrun = requirements(tracer, p95_ms=RATIO * 0.9 * budget).overrun(fake_cost, p95_ratio=RATIO)
    sampler = SAMPLERS["surrogate"](space, fake_costs, budgets_ms=[budget], seed=0, overrun=overrun)
    costs = [fake_cost(arch) for arch in search_in_memory(sampler, 30)]
    assert max(costs) <= 0.9 * budget
    assert max(costs) > 0.8 * budget


def test_networks_over_a_limit_are_neither_best_nor_on_the_front(space: SearchSpace) -> None:
    manager = ArchManager(space)
    archs = [manager.smallest(), manager.largest()]
    allowed, over = (Evaluation(arch, 1.0, 0.1 + place, overrun=place) for place, arch in enumerate(archs))
    assert within([allowed, over], 2.0) == [allowed]
    assert pareto_front([allowed, over]) == [allowed]


@pytest.mark.parametrize(
    ("figures", "kept"),
    [
        ({"p95": 9.0, "memory": 30_000_000, "file": 2_000_000}, True),
        ({"p95": 9.1}, False),
        ({"memory": 30_000_001}, False),
        ({"file": 2_000_001}, False),
    ],
)
def test_measured_figures_are_held_against_the_limits(figures: dict[str, float], kept: bool) -> None:
    limits = Limits(p95_ms=9.0, memory_mb=30.0, file_mb=2.0)
    assert limits.keeps(measured(8.0, **figures)) is kept  # type: ignore[arg-type]


def test_a_winner_keeps_the_limits_as_measured(space: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    archs = list({ArchManager(space).sample(rng): None for _ in range(9)})[:6]
    history = [Evaluation(arch, float(ms), ms / 10) for ms, arch in enumerate(archs, start=1)]
    asked: list[str] = []

    def measure(archs: Sequence[Arch]) -> dict[str, Measurement]:
        asked.extend(arch.id for arch in archs)
        times = {item.arch.id: item.predicted_ms for item in history}
        return {arch.id: measured(times[arch.id], p95=2 * times[arch.id]) for arch in archs}

    finals = measure_finalists(history, [5.0], measure, per_budget=1, limits=Limits(p95_ms=8.0))
    winner = finals.winners[5.0]
    assert winner is not None
    assert winner.item.predicted_ms == 4.0
    assert asked == [archs[4].id, archs[3].id]


def test_limits_that_no_network_keeps_are_refused_with_what_there_is(
    space: SearchSpace, tracer: Tracer
) -> None:
    budget = fake_cost(ArchManager(space).largest())
    for name in ("p95_ms", "memory_mb", "file_mb"):
        with pytest.raises(UserError, match=f"`{name}` 0.01: no network of demo takes less than about"):
            requirements(tracer, **{name: 0.01}).check(
                space, fake_cost, p95_ratio=RATIO, budgets_ms=(budget,)
            )
    requirements(tracer, file_mb=1.0).check(space, fake_cost, p95_ratio=RATIO, budgets_ms=(budget,))
    with pytest.raises(UserError, match="more than 0"):
        Limits(file_mb=0.0)


def test_limits_that_exclude_each_other_are_refused(space: SearchSpace, tracer: Tracer) -> None:
    manager = ArchManager(space)
    smallest = footprint(tracer(manager.smallest())).file_bytes / 1e6

    def odd(arch: Arch) -> float:
        """A network is the cheaper the larger its file is."""
        return 1e6 / footprint(tracer(arch)).file_bytes

    budget = odd(manager.largest()) * 1.01
    with pytest.raises(UserError, match=r"`budgets_ms` .* and `file_mb` .* together"):
        requirements(tracer, file_mb=smallest * 1.02).check(space, odd, p95_ratio=1.0, budgets_ms=(budget,))


def test_searches_with_other_limits_count_their_own_trials(
    space: SearchSpace, tracer: Tracer, tmp_path: Path
) -> None:
    budget = fake_cost(ArchManager(space).largest())
    evaluator = FakeEvaluator()

    def search(limit: float | None, trials: int) -> list[Evaluation]:
        limits = Limits(file_mb=limit)
        overrun = Requirements(limits, tracer, precision="fp32").overrun(fake_cost, p95_ratio=1.0)
        record = SearchRecord(
            space,
            storage=f"sqlite:///{tmp_path / 'study.db'}",
            key="k",
            metric="AP",
            cost=fake_cost,
            overrun=overrun,
            limits=limits.by_name,
        )
        return score_networks(
            SAMPLERS["surrogate"](space, fake_costs, budgets_ms=[budget], seed=0, overrun=overrun),
            evaluator,
            record=record,
            cache=EvaluationCache(tmp_path / "evaluations.jsonl"),
            budgets_ms=[budget],
            trials=trials,
            report=lambda _: None,
        )

    search(None, 6)
    sizes = sorted(footprint(tracer(arch)).file_bytes / 1e6 for arch in evaluator.asked)
    limit = (sizes[0] + sizes[-1]) / 2
    history = search(limit, 4)
    assert len(history) == 10
    assert all(item.overrun == 0 for item in history[6:])
    over = [item for item in history[:6] if footprint(tracer(item.arch)).file_bytes > 1e6 * limit]
    assert over
    assert all(item.overrun > 0 for item in over)
