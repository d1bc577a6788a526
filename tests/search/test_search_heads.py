"""Every head by itself, and finalists that are trained on: who wins, and what is trained, when."""

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up_predictor import made_up_predictor
from search_fakes import fake_accuracy, fake_cost, fake_costs, search_in_memory
from untrained_run import untrained_run

from nas.errors import UserError
from nas.runs import RunFolder
from nas.search.finalist_training import FinalistTraining
from nas.search.results import SearchResult
from nas.search.run import search_run
from nas.search.samplers import SAMPLERS, HeadTurns, Prior
from nas.search.samplers.genes import Genome
from nas.search.samplers.heads import head_votes
from nas.search.settings import SearchSettings
from nas.search.values import Evaluation
from nas.space import ArchManager, SearchSpace, Skeleton

METRIC = "PCK_torso@0.5"
BUDGETS = [16.0, 40.0]
SETTINGS = SearchSettings(
    budgets_ms=BUDGETS, trials=12, metric=METRIC, allow_other_device=True, train_finalists=8
)
TRAINED = 8


def turns(name: str, space: SearchSpace, *, budgets: list[float] | None = None) -> HeadTurns:
    rng = np.random.default_rng(0)
    costs = [fake_cost(ArchManager(space).sample(rng)) for _ in range(50)]
    budgets = budgets or [float(max(costs)) * share for share in (0.5, 1.0)]
    return HeadTurns(SAMPLERS[name], space, fake_costs, budgets_ms=budgets, seed=0)


@pytest.mark.parametrize("name", ["surrogate", "random", "evolution"])
def test_a_head_that_leads_nowhere_gets_its_quarter(space: SearchSpace, name: str) -> None:
    sampler = turns(name, space)
    archs = search_in_memory(
        sampler, 40, accuracy=lambda arch: fake_accuracy(arch) + (arch.head.type == "simcc")
    )
    count = Counter(arch.head.type for arch in archs)
    assert len(set(archs)) == 40
    assert 9 <= count["heatmap"] <= 12


def test_heads_that_lead_in_turn_share(space: SearchSpace) -> None:
    leads = {"simcc": 1.0, "heatmap": 0.0}
    items = {
        head: [Evaluation(ArchManager(space).smallest(head=head), 10.0, value)]
        for head, value in leads.items()
    }
    assert head_votes(items, [5.0, 20.0]) == {"simcc": 2, "heatmap": 1}
    assert head_votes({head: [] for head in leads}, [5.0, 20.0]) == {"simcc": 1, "heatmap": 1}


def test_a_draw_is_a_function_of_what_is_known(space: SearchSpace) -> None:
    first, second = (search_in_memory(turns("surrogate", space), 24) for _ in range(2))
    assert first == second


def test_a_head_without_a_network_left_leaves_its_turns_to_others(space: SearchSpace) -> None:
    small = space.narrow(resolutions=[(96, 64)])
    cheap = min(fake_cost(ArchManager(small).smallest(head=head)) for head in small.heads)
    dear = max(fake_cost(ArchManager(small).smallest(head=head)) for head in small.heads)
    if cheap == dear:
        pytest.skip("both heads cost the same here")
    archs = search_in_memory(turns("random", small, budgets=[(cheap + dear) / 2]), 3)
    assert len({arch.head.type for arch in archs}) == 1


@pytest.fixture(scope="module")
def given(space: SearchSpace, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("given")
    run = untrained_run(folder, space, images=40, changes=["processes=1", "finetune.batch=4"])
    run.predictor_file.parent.mkdir()
    made_up_predictor(space, Skeleton.load("coco17"), folder).rename(run.predictor_file)
    return run


@pytest.fixture(scope="module")
def searched(given: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, SearchResult]:
    """A run of which nothing was interrupted, and what was found."""
    run = RunFolder(shutil.copytree(given.path, tmp_path_factory.mktemp("searched") / "run"))
    return run, search_run(run.path, SETTINGS)


@pytest.fixture
def run(given: RunFolder, tmp_path: Path) -> RunFolder:
    """One that nobody searched yet."""
    return RunFolder(shutil.copytree(given.path, tmp_path / "run"))


def test_trained_finalists_decide(searched: tuple[RunFolder, SearchResult]) -> None:
    run, result = searched
    written = json.loads(run.results_file.read_text())
    assert written["train_finalists"] == TRAINED
    for subnet, figures in zip(result.subnets, written["subnets"], strict=True):
        heads = [item.arch.head.type for item in subnet.trained]
        assert sorted(heads) == ["heatmap", "simcc"]
        accuracies = [item.accuracy for item in subnet.trained]
        assert accuracies == sorted(accuracies, reverse=True)
        assert subnet.arch == subnet.trained[0].arch
        assert [each["arch"] for each in figures["trained"]] == [item.arch.id for item in subnet.trained]
        assert figures["accuracy"] == subnet.item.accuracy  # what is inherited stays known
        for item in subnet.trained:
            assert (run.subnets_folder / f"finalist-{item.arch.id[:6]}-{TRAINED}.safetensors").is_file()


def test_what_is_trained_is_not_trained_again(searched: tuple[RunFolder, SearchResult]) -> None:
    run, before = searched
    files = {path: path.stat().st_mtime_ns for path in run.path.rglob("checkpoints/*/manifest.json")}
    assert files
    again = search_run(run.path, SETTINGS)
    assert again.to_json() == before.to_json()
    assert {path: path.stat().st_mtime_ns for path in files} == files


def test_a_stopped_training_leaves_the_result_by_inherited_scores(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(self: FinalistTraining, items: Sequence[Evaluation]) -> list[Evaluation]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(FinalistTraining, "__call__", stopped)
        with pytest.raises(KeyboardInterrupt):
            search_run(run.path, SETTINGS)
    written = json.loads(run.results_file.read_text())
    assert [each["budget_ms"] for each in written["subnets"]] == BUDGETS
    assert all("trained" not in each for each in written["subnets"])


def test_a_budget_of_one_head_alone_trains_nothing(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: FinalistTraining, items: Sequence[Evaluation]) -> list[Evaluation]:
        raise AssertionError(f"{[item.arch.id for item in items]} were trained")

    monkeypatch.setattr(FinalistTraining, "__call__", never)
    result = search_run(run.path, replace(SETTINGS, heads=("simcc",)))
    assert [subnet.arch.head.type for subnet in result.subnets] == ["simcc", "simcc"]
    assert not any(subnet.trained for subnet in result.subnets)


def test_people_that_decide_are_not_trained_on(run: RunFolder) -> None:
    other = RunFolder.open(run.path, ["finetune.search_split=true"])
    with pytest.raises(UserError, match=r"search_split"):
        search_run(other, SETTINGS)
    assert not run.evaluations_file.is_file()


def test_of_a_prior_each_head_has_its_own(space: SearchSpace) -> None:
    rng, manager = np.random.default_rng(0), ArchManager(space)
    archs = [manager.sample(rng, head="simcc") for _ in range(12)]
    archs += [manager.sample(rng, head="heatmap") for _ in range(2)]
    whole, own = Genome(space), Genome(space.narrow(heads=["simcc"]))
    prior = Prior(np.stack([whole.read(arch) for arch in archs]), np.arange(14.0))
    mine = prior.of_head("simcc", whole, own)
    assert mine is not None
    assert [own.build(genes) for genes in mine.genes] == archs[:12]
    assert mine.accuracies.tolist() == list(range(12))
    assert prior.of_head("heatmap", whole, Genome(space.narrow(heads=["heatmap"]))) is None
