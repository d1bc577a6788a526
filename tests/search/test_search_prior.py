"""A warm start: what another run scored guides the sampler, and counts as nothing else."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest
from search_fakes import fake_accuracy, fake_cost, fake_costs, score_one, search_in_memory

from nas.errors import UserError
from nas.runs import RunFolder, load_config
from nas.search.prior import prior_of
from nas.search.record import SearchRecord
from nas.search.samplers import Prior
from nas.search.samplers.genes import Genome
from nas.search.samplers.surrogate import SurrogateSampler
from nas.search.scoring import Scoring
from nas.search.settings import SearchSettings
from nas.search.storage import sqlite_url
from nas.search.study import evaluation_key
from nas.space import Arch, ArchManager, SearchSpace


def drawn(space: SearchSpace, count: int, seed: int = 0) -> list[Arch]:
    rng = np.random.default_rng(seed)
    return list(dict.fromkeys(ArchManager(space).sample(rng) for _ in range(count)))


def prior_by(space: SearchSpace, accuracy: Callable[[Arch], float], count: int = 60) -> Prior:
    archs, genome = drawn(space, count, seed=9), Genome(space)
    return Prior(
        np.stack([genome.read(arch) for arch in archs]), np.array([accuracy(arch) for arch in archs])
    )


def other_weights(arch: Arch) -> float:
    """The other run: worse, spread less, and not quite of the same opinion."""
    noise = float(np.random.default_rng(int(arch.id, 16)).standard_normal())
    return 0.3 * fake_accuracy(arch) - 0.1 + 0.003 * noise


def make(space: SearchSpace, prior: Prior | None, *, budget: float = 1e9, seed: int = 0) -> SurrogateSampler:
    return SurrogateSampler(space, fake_costs, budgets_ms=[budget], seed=seed, prior=prior)


@pytest.fixture(scope="module")
def budget(space: SearchSpace) -> float:
    return float(np.quantile([fake_cost(arch) for arch in drawn(space, 200)], 0.3))


def best(archs: Sequence[Arch]) -> float:
    return max(map(fake_accuracy, archs))


def test_good_networks_are_found_at_once(space: SearchSpace, budget: float) -> None:
    prior = prior_by(space, other_weights)
    warm, cold = (
        [best(search_in_memory(make(space, given, budget=budget, seed=seed), 8)) for seed in range(2)]
        for given in (prior, None)
    )
    assert min(warm) > max(cold)


def test_a_prior_that_is_wrong_is_given_up(space: SearchSpace, budget: float) -> None:
    misleading = prior_by(space, lambda arch: -fake_accuracy(arch))
    warm = search_in_memory(make(space, misleading, budget=budget), 28)
    cold = search_in_memory(make(space, None, budget=budget), 28)
    random = [arch for arch in drawn(space, 200, seed=4) if fake_cost(arch) <= budget][:28]
    assert best(warm) > best(random)
    assert best(warm) > best(random) + 0.9 * (best(cold) - best(random))


def test_a_draw_is_a_function_of_seed_history_and_prior(space: SearchSpace, budget: float) -> None:
    prior = prior_by(space, other_weights)
    sampler = make(space, prior, budget=budget)
    archs = search_in_memory(sampler, 14)
    for count in (3, 9, 13):
        study = optuna.create_study(directions=["maximize", "minimize"])
        for arch in archs[:count]:
            study.add_trial(
                optuna.create_trial(
                    values=[fake_accuracy(arch), fake_cost(arch)],
                    params=Genome(space).params(arch),
                    distributions=sampler.distributions,
                )
            )
        assert search_in_memory(make(space, prior, budget=budget), 1, study=study) == [archs[count]]
    other = search_in_memory(make(space, prior_by(space, fake_cost), budget=budget), 14)
    assert other != archs


def test_networks_of_the_prior_may_be_scored_here(space: SearchSpace) -> None:
    """They are no evaluations of this run: nothing says that they are taken."""
    favourite = max(drawn(space, 60, seed=9), key=fake_accuracy)
    prior = prior_by(space, lambda arch: 1.0 if arch == favourite else 0.0)
    known = make(space, prior)._read(
        optuna.create_study(directions=["maximize", "minimize"]),
        SimpleNamespace(number=0),  # type: ignore[arg-type]
    )
    assert favourite not in known.taken
    assert not known.scored


def run_in(folder: Path, name: str, *, recipe: str = "demo", overrides: Sequence[str] = ()) -> RunFolder:
    """A run folder with weights of its own."""
    run = RunFolder.start(folder / name, load_config(recipe, [f"data.root={folder}", *overrides]))
    for file in (run.weights_file, run.search_split_file, run.calibration_file):
        file.write_text(name)
    run.search_folder.mkdir()
    return run


def record_of(run: RunFolder, space: SearchSpace) -> SearchRecord:
    return SearchRecord(
        space,
        storage=sqlite_url(run.study_file),
        key=Scoring().key(evaluation_key(run)),
        metric="AP",
        cost=fake_cost,
    )


def asked(run: RunFolder, prior: RunFolder | None, space: SearchSpace) -> Any:
    """As much of a search as a prior asks for."""
    settings = SearchSettings(budgets_ms=[1.0], prior=prior.path if prior else None)
    return SimpleNamespace(run=run, settings=settings, space=space)


def test_another_runs_networks_become_a_prior_that_stays_as_it_was(
    space: SearchSpace, tmp_path: Path
) -> None:
    mine, other = run_in(tmp_path, "mine"), run_in(tmp_path, "other")
    archs = drawn(space, 14)
    there = record_of(other, space)
    for arch in archs[:12]:
        score_one(there, arch, fake_accuracy(arch))
    record = record_of(mine, space)
    assert prior_of(asked(mine, None, space), record) is None
    prior = prior_of(asked(mine, other, space), record)
    assert prior is not None
    genome = Genome(space)
    assert [genome.build(genes) for genes in prior.genes] == archs[:12]
    assert prior.accuracies.tolist() == [fake_accuracy(arch) for arch in archs[:12]]
    # No evaluation of this run.
    assert record.history() == []
    assert record.count([1.0]) == 0

    score_one(there, archs[12], 0.9)
    again = prior_of(asked(mine, other, space), record_of(mine, space))
    assert again is not None
    assert again.accuracies.tolist() == prior.accuracies.tolist(), "a killed search goes on as it began"


@pytest.mark.parametrize("case", ["unsearched", "few", "same", "space"])
def test_what_is_no_prior_is_refused_in_one_line(space: SearchSpace, tmp_path: Path, case: str) -> None:
    mine = run_in(tmp_path, "mine")
    overrides = ["resolutions=[[96,64]]"] if case == "space" else []
    other = mine if case == "same" else run_in(tmp_path, "other", overrides=overrides)
    if case != "unsearched":
        theirs = record_of(other, other.config().load_space())
        for arch in drawn(other.config().load_space(), 4 if case == "few" else 12):
            score_one(theirs, arch, 0.2)
    said = {
        "unsearched": "no network of it has been scored",
        "few": "only 4 networks are scored",
        "same": "has the same weights",
        "space": "its space demo is not that of",
    }[case]
    with pytest.raises(UserError, match=said) as caught:
        prior_of(asked(mine, other, space), record_of(mine, space))
    assert "\n" not in str(caught.value)
