import json
from pathlib import Path

import numpy as np
import optuna
import pytest
from search_fakes import FakeEvaluator, fake_cost, fake_costs

from nas.search.loop import SearchProgress, score_networks
from nas.search.record import EvaluationCache, SearchRecord
from nas.search.samplers import SAMPLERS, index_distributions
from nas.search.values import Evaluation
from nas.space import ArchManager, SearchSpace


@pytest.fixture(scope="module")
def budgets(space: SearchSpace) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    costs = [fake_cost(ArchManager(space).sample(rng)) for _ in range(200)]
    return float(np.quantile(costs, 0.2)), float(np.quantile(costs, 0.7))


def search(
    space: SearchSpace,
    folder: Path,
    budgets: tuple[float, ...],
    evaluate: FakeEvaluator,
    *,
    trials: int = 14,
    sampler: str = "surrogate",
    reports: list[SearchProgress] | None = None,
) -> list[Evaluation]:
    return score_networks(
        SAMPLERS[sampler](space, fake_costs, budgets_ms=budgets, seed=0),
        evaluate,
        record=SearchRecord(
            space, storage=f"sqlite:///{folder / 'study.db'}", key=evaluate.key, metric="AP", cost=fake_cost
        ),
        cache=EvaluationCache(folder / "evaluations.jsonl"),
        budgets_ms=budgets,
        trials=trials,
        report=[].append if reports is None else reports.append,
    )


def test_nothing_over_the_largest_budget_and_nothing_twice_is_scored(
    space: SearchSpace, tmp_path: Path, budgets: tuple[float, float]
) -> None:
    evaluate = FakeEvaluator()
    reports: list[SearchProgress] = []
    history = search(space, tmp_path, budgets, evaluate, reports=reports)
    assert len(history) == len(evaluate.asked) == len(set(evaluate.asked)) == 14
    assert max(item.predicted_ms for item in history) <= budgets[1]
    assert [report.done for report in reports] == list(range(15))
    assert reports[-1].best[budgets[1]] == max(item.accuracy for item in history)
    assert reports[-1].total == 14


@pytest.mark.parametrize(
    "sampler",
    [
        name if name == "surrogate" else pytest.param(name, marks=pytest.mark.slow)
        for name in SAMPLERS
        if name != "gp"
    ],
)
def test_a_killed_search_goes_on_as_if_it_had_not_been(
    space: SearchSpace, tmp_path: Path, budgets: tuple[float, float], sampler: str
) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole = search(space, tmp_path / "whole", budgets, FakeEvaluator(), sampler=sampler)
    for stop in (9, 3):
        with pytest.raises(KeyboardInterrupt):
            search(space, tmp_path / "killed", budgets, FakeEvaluator(fail_after=stop), sampler=sampler)
    rest = FakeEvaluator()
    resumed = search(space, tmp_path / "killed", budgets, rest, sampler=sampler)
    assert len(rest.asked) == 2
    assert [item.arch for item in resumed] == [item.arch for item in whole]


def test_a_finished_search_asks_for_nothing(
    space: SearchSpace, tmp_path: Path, budgets: tuple[float, float]
) -> None:
    first = search(space, tmp_path, budgets, FakeEvaluator())
    again = FakeEvaluator()
    assert search(space, tmp_path, budgets, again) == first
    assert again.asked == []


def test_other_weights_are_scored_afresh(
    space: SearchSpace, tmp_path: Path, budgets: tuple[float, float]
) -> None:
    search(space, tmp_path, budgets, FakeEvaluator(), trials=4)
    other = FakeEvaluator(key="other weights")
    assert len(search(space, tmp_path, budgets, other, trials=4)) == len(other.asked) == 4


def test_a_lost_study_costs_no_second_evaluation(
    space: SearchSpace, tmp_path: Path, budgets: tuple[float, float]
) -> None:
    first = search(space, tmp_path, budgets, FakeEvaluator(), trials=6)
    (tmp_path / "study.db").unlink()
    again = FakeEvaluator()
    assert search(space, tmp_path, budgets, again, trials=6) == first
    assert again.asked == []


def test_other_budgets_learn_from_what_is_known(
    space: SearchSpace, tmp_path: Path, budgets: tuple[float, float]
) -> None:
    search(space, tmp_path, budgets, FakeEvaluator(), trials=6)
    more = FakeEvaluator()
    history = search(space, tmp_path, budgets[:1], more, trials=3)
    assert len(history) == 9
    assert len(more.asked) == 3


def test_a_search_ends_where_no_network_is_left(space: SearchSpace, tmp_path: Path) -> None:
    only = SearchSpace.of(ArchManager(space).smallest())
    history = search(only, tmp_path, (1e9,), FakeEvaluator(), trials=5)
    assert len(history) == 1


@pytest.mark.slow
def test_a_search_in_parts_is_the_whole_one(
    space: SearchSpace, tmp_path: Path, budgets: tuple[float, float]
) -> None:
    evaluate = FakeEvaluator()
    record = SearchRecord(
        space, storage=f"sqlite:///{tmp_path / 'study.db'}", key="k", metric="AP", cost=fake_cost
    )
    reports: list[SearchProgress] = []
    for until in (5, 14):
        history = score_networks(
            SAMPLERS["surrogate"](space, fake_costs, budgets_ms=budgets, seed=0),
            evaluate,
            record=record,
            cache=EvaluationCache(tmp_path / "evaluations.jsonl"),
            budgets_ms=budgets,
            trials=14,
            report=reports.append,
            until=until,
        )
        assert len(history) == until
    assert {report.total for report in reports} == {14}
    (tmp_path / "whole").mkdir()
    whole = search(space, tmp_path / "whole", budgets, FakeEvaluator())
    assert [item.arch for item in history] == [item.arch for item in whole]


def test_a_study_of_an_earlier_version_is_gone_on_with(
    space: SearchSpace, tmp_path: Path, budgets: tuple[float, float]
) -> None:
    """Its trials name what drew them otherwise, and have no `sampler`."""
    url = f"sqlite:///{tmp_path / 'study.db'}"
    manager, arch = ArchManager(space), ArchManager(space).smallest()
    distributions = index_distributions(space)
    params = {name: index for name, index in manager.encode(arch).items() if name in distributions}
    study = optuna.create_study(
        storage=url, study_name=f"{space.name} AP k", directions=["maximize", "minimize"]
    )
    study.add_trial(
        optuna.create_trial(
            values=[0.2, fake_cost(arch)],
            params=params,
            distributions={name: distributions[name] for name in params},
            user_attrs={
                "arch": json.dumps(arch.to_json()),
                "scores": {"AP": 0.2},
                "origin": "smallest",
                "predictor": "",
                "aimed_at_ms": budgets[0],
                "budgets_ms": list(budgets),
                "limits": {},
            },
            constraints={"ms over the largest budget": fake_cost(arch) - budgets[1]},
        )
    )
    evaluate = FakeEvaluator()
    history = search(space, tmp_path, budgets, evaluate, trials=6)
    assert len(history) == 6
    assert len(evaluate.asked) == 5
    assert history[0].arch == arch
    assert arch not in evaluate.asked
