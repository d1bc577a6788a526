"""What every sampler keeps: budgets, no network twice, a draw that depends on seed and history alone."""

from collections.abc import Sequence
from inspect import signature
from typing import get_type_hints

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState
from search_fakes import fake_accuracy, fake_cost, fake_costs, search_in_memory
from threadpoolctl import threadpool_info, threadpool_limits

from nas.arrays import Floats
from nas.cli.search import search
from nas.errors import UserError
from nas.search.samplers import SAMPLERS, ArchSampler, NothingLeftError, sampler_named
from nas.search.settings import SearchSettings
from nas.space import Arch, ArchManager, SearchSpace

TRIALS = 16  # random draws end after ten of them, where there are any

every_sampler = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "gp" else name for name in SAMPLERS]
)


@pytest.fixture(scope="module")
def budgets(space: SearchSpace) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    costs = [fake_cost(ArchManager(space).sample(rng)) for _ in range(200)]
    return float(np.quantile(costs, 0.2)), float(np.quantile(costs, 0.6))


def blas_threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def make(name: str, space: SearchSpace, budgets: tuple[float, ...], seed: int = 0) -> ArchSampler:
    return SAMPLERS[name](space, fake_costs, budgets_ms=budgets, seed=seed)


def study_of(archs: list[Arch], sampler: ArchSampler, *, sign: int = 1) -> optuna.Study:
    """A study that holds these networks, parameters of inactive dimensions left out as a search does."""
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    for arch in archs:
        add(study, arch, sampler, sign=sign)
    return study


def add(
    study: optuna.Study,
    arch: Arch,
    sampler: ArchSampler,
    state: TrialState = TrialState.COMPLETE,
    *,
    sign: int = 1,
) -> None:
    active = ArchManager(sampler._space).encode(arch)
    params = {name: index for name, index in active.items() if name in sampler.distributions}
    study.add_trial(
        optuna.create_trial(
            state=state,
            values=[sign * fake_accuracy(arch), fake_cost(arch)] if state is TrialState.COMPLETE else None,
            params=params,
            distributions={name: sampler.distributions[name] for name in params},
        )
    )


def drawn(study: optuna.Study, sampler: ArchSampler) -> Arch:
    """What a sampler would draw next, asked as an outside trial, which changes nothing."""
    trial = optuna.create_trial(state=TrialState.RUNNING)
    trial.number = len(study.trials)
    space = sampler.infer_relative_search_space(study, trial)
    return sampler.arch(sampler.sample_relative(study, trial, space))


@every_sampler
def test_networks_are_new_and_within_the_largest_budget(
    space: SearchSpace, budgets: tuple[float, float], name: str
) -> None:
    archs = search_in_memory(make(name, space, budgets), TRIALS)
    assert len(set(archs)) == TRIALS
    assert max(map(fake_cost, archs)) <= budgets[1]
    assert all(space.contains(arch) for arch in archs)


@every_sampler
def test_a_draw_depends_on_seed_and_history_alone(
    space: SearchSpace, budgets: tuple[float, float], name: str
) -> None:
    sampler = make(name, space, budgets, seed=3)
    archs = search_in_memory(sampler, TRIALS)
    counts = (0, 5, 12, TRIALS - 1)
    for count in counts:
        fresh = make(name, space, budgets, seed=3)
        assert drawn(study_of(archs[:count], fresh), fresh) == archs[count]
        # One that was asked about other studies before says the same.
        assert drawn(study_of(archs[:count], sampler), sampler) == archs[count]
    other = make(name, space, budgets, seed=4)
    # One draw may well be the same: several seeds find the best of what a model expects.
    assert any(drawn(study_of(archs[:count], other), other) != archs[count] for count in counts)


@pytest.mark.parametrize("name", ["evolution", "nsga2"])
def test_a_generation_goes_on_wherever_it_was_left(
    space: SearchSpace, budgets: tuple[float, float], name: str
) -> None:
    archs = search_in_memory(make(name, space, budgets), 88)
    for count in (40, 41, 45, 80, 81, 87):
        fresh = make(name, space, budgets)
        assert drawn(study_of(archs[:count], fresh), fresh) == archs[count]


@every_sampler
def test_the_last_digit_of_a_time_changes_no_draw(
    space: SearchSpace, budgets: tuple[float, float], name: str
) -> None:
    """It depends on what else is asked about in the same batch."""

    def costs(archs: Sequence[Arch]) -> Floats:
        return fake_costs(archs) * (1 + 4e-16 * (len(archs) % 3))

    archs = search_in_memory(make(name, space, budgets), TRIALS)
    sampler = SAMPLERS[name](space, costs, budgets_ms=budgets, seed=0)
    assert search_in_memory(sampler, TRIALS) == archs


@every_sampler
def test_asking_writes_nothing(space: SearchSpace, budgets: tuple[float, float], name: str) -> None:
    sampler = make(name, space, budgets)
    study = study_of(search_in_memory(sampler, 12), sampler)
    before = [(trial.state, trial.system_attrs) for trial in study.trials]
    assert drawn(study, sampler) == drawn(study, sampler)
    assert [(trial.state, trial.system_attrs) for trial in study.trials] == before


@every_sampler
def test_what_others_are_scoring_is_not_drawn(
    space: SearchSpace, budgets: tuple[float, float], name: str
) -> None:
    sampler = make(name, space, budgets)
    study = study_of(search_in_memory(sampler, 12), sampler)
    first = drawn(study, sampler)
    add(study, first, sampler, TrialState.RUNNING)
    second = drawn(study, sampler)
    assert second != first
    # A worker that has asked and is still drawing is known by its number alone: both draws differ.
    study.add_trial(optuna.create_trial(state=TrialState.RUNNING))
    assert drawn(study, sampler) not in (first, second)


@every_sampler
def test_what_failed_may_be_drawn_again(space: SearchSpace, budgets: tuple[float, float], name: str) -> None:
    sampler = make(name, space, budgets)
    study = study_of(search_in_memory(sampler, 12), sampler)
    first = drawn(study, sampler)
    add(study, first, sampler, TrialState.FAIL)
    assert drawn(study, sampler) == first


@every_sampler
def test_a_smaller_budget_than_before_is_kept(
    space: SearchSpace, budgets: tuple[float, float], name: str
) -> None:
    generous = make(name, space, (1e9,))
    study = study_of(search_in_memory(generous, 12), generous)
    sampler = make(name, space, budgets[:1])
    assert max(map(fake_cost, search_in_memory(sampler, 4, study=study))) <= budgets[0]


@every_sampler
def test_an_exhausted_space_says_so(space: SearchSpace, name: str) -> None:
    arch = ArchManager(space).smallest()
    sampler = make(name, SearchSpace.of(arch), (1e9,))
    assert drawn(study_of([], sampler), sampler) == arch
    with pytest.raises(NothingLeftError):
        drawn(study_of([arch], sampler), sampler)


@every_sampler
def test_a_budget_that_leaves_nothing_says_so(space: SearchSpace, name: str) -> None:
    arch = ArchManager(space).smallest()
    with pytest.raises(NothingLeftError):
        search_in_memory(make(name, space, (fake_cost(arch) / 10,)), 1)


@every_sampler
def test_accuracies_count(space: SearchSpace, budgets: tuple[float, float], name: str) -> None:
    """What is drawn depends on which of the networks were good; but for random ones."""
    sampler = make(name, space, budgets)
    archs = search_in_memory(sampler, 44)
    upright, reversed_ = (
        [drawn(study_of(archs[: 40 + more], sampler, sign=sign), sampler) for more in range(4)]
        for sign in (1, -1)
    )
    assert (upright == reversed_) == (name == "random")


@pytest.mark.parametrize("name", ["evolution", "nsga2"])
def test_generations_become_better(space: SearchSpace, budgets: tuple[float, float], name: str) -> None:
    archs = search_in_memory(make(name, space, budgets[1:]), 120)
    accuracies = [fake_accuracy(arch) for arch in archs]
    assert np.mean(accuracies[80:]) > np.mean(accuracies[:40])


def test_only_elastic_dimensions_are_drawn(space: SearchSpace) -> None:
    sampler = make("random", space, (1e9,))
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    with pytest.raises(ValueError, match="no elastic dimension"):
        study.ask().suggest_int("colour", 0, 3)


def test_the_command_names_every_sampler() -> None:
    (option,) = get_type_hints(search, include_extras=True)["sampler"].__metadata__
    *names, last = option.help.removeprefix("What draws networks: ").rstrip(".").split(", ")
    assert [*names, *last.split(" or ")] == list(SAMPLERS)
    assert signature(search).parameters["sampler"].default == SearchSettings(budgets_ms=[1]).sampler


def test_an_unknown_sampler_is_refused_with_those_there_are() -> None:
    with pytest.raises(UserError, match=r"`sampler` magic: .* surrogate, evolution"):
        sampler_named("magic")


def test_a_draw_does_its_linear_algebra_on_one_thread(
    space: SearchSpace, budgets: tuple[float, float]
) -> None:
    seen: list[int] = []

    def costs(archs: Sequence[Arch]) -> Floats:
        seen.extend(blas_threads())
        return fake_costs(archs)

    with threadpool_limits(limits=2, user_api="blas"):
        outside = blas_threads()
        search_in_memory(SAMPLERS["surrogate"](space, costs, budgets_ms=budgets, seed=0), 3)
        assert blas_threads() == outside
    if 2 not in outside:
        pytest.skip("linear algebra has one thread here in any case")
    assert set(seen) == {1}
