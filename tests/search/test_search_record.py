from pathlib import Path

import optuna
import pytest
from search_fakes import GivenNetworks, fake_cost, score_one

from nas.errors import UserError
from nas.search.record import EvaluationCache, SearchRecord
from nas.search.storage import sqlite_url
from nas.space import ArchManager, SearchSpace


def open_record(space: SearchSpace, folder: Path, *, key: str = "k", scale: float = 1.0) -> SearchRecord:
    return SearchRecord(
        space,
        storage=sqlite_url(folder / "study.db"),
        key=key,
        metric="AP",
        cost=lambda arch: scale * fake_cost(arch),
    )


def test_a_study_is_opened_again_with_all_it_knew(space: SearchSpace, tmp_path: Path) -> None:
    arch = ArchManager(space).smallest()
    score_one(open_record(space, tmp_path), arch, 0.25)
    (item,) = open_record(space, tmp_path).history()
    assert item.arch == arch
    assert item.accuracy == 0.25
    assert item.scores == {"AP": 0.25, "AP50": 0.5}


@pytest.mark.parametrize(
    "name", ["a?1", "a%20b", "a b", "a#1", "{x}", "a'b", "é", "a;b", "a&mode=ro", ":memory:"]
)
def test_a_study_lies_where_its_folder_does_whatever_that_is_called(
    space: SearchSpace, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    score_one(open_record(space, folder), ArchManager(space).smallest(), 0.25)
    assert [path.name for path in folder.iterdir()] == ["study.db"]
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert len(open_record(space, folder).history()) == 1
    (tmp_path / f"{name}2").mkdir()
    assert open_record(space, tmp_path / f"{name}2").history() == []


def test_a_password_is_not_told(space: SearchSpace) -> None:
    with pytest.raises(UserError, match="cannot open the study") as caught:
        SearchRecord(space, storage="nothing://me:secret@host/db", key="k", metric="AP", cost=fake_cost)
    assert "secret" not in str(caught.value)


def test_times_come_from_the_present_predictor(space: SearchSpace, tmp_path: Path) -> None:
    arch = ArchManager(space).smallest()
    score_one(open_record(space, tmp_path), arch, 0.2)
    (item,) = open_record(space, tmp_path, scale=3.0).history()
    assert item.predicted_ms == pytest.approx(3 * fake_cost(arch))


def test_every_trial_says_whose_prediction_it_holds(space: SearchSpace, tmp_path: Path) -> None:
    manager = ArchManager(space)
    record = open_record(space, tmp_path)
    record.use(fake_cost, predictor="first")
    small, large = manager.smallest(), manager.largest()
    score_one(record, small, 0.2)
    record.use(lambda arch: 2 * fake_cost(arch), predictor="second")
    score_one(record, large, 0.3)
    study = optuna.load_study(study_name=record.name, storage=f"sqlite:///{tmp_path / 'study.db'}")
    kept = [(trial.values[1], trial.user_attrs["predictor"]) for trial in study.trials]
    assert kept == [(fake_cost(small), "first"), (2 * fake_cost(large), "second")]
    # What was scored before is told by the present predictor.
    assert [item.predicted_ms for item in record.history()] == [2 * fake_cost(small), 2 * fake_cost(large)]


def test_trials_are_counted_by_budgets_and_shared_by_key(space: SearchSpace, tmp_path: Path) -> None:
    manager = ArchManager(space)
    record = open_record(space, tmp_path)
    for arch, budgets in ((manager.smallest(), [5.0]), (manager.largest(), [9.0])):
        score_one(record, arch, 0.1, budgets_ms=budgets)
    assert (record.count([5.0]), record.count([9.0]), record.count([5.0, 9.0])) == (1, 1, 0)
    assert len(record.history()) == 2
    assert open_record(space, tmp_path, key="other").history() == []


def test_the_study_is_an_ordinary_one(space: SearchSpace, tmp_path: Path) -> None:
    manager = ArchManager(space)
    arch = manager.smallest()
    record = open_record(space, tmp_path)
    score_one(record, arch, 0.25, budgets_ms=[fake_cost(arch) - 2])
    study = optuna.load_study(study_name=record.name, storage=f"sqlite:///{tmp_path / 'study.db'}")
    (trial,) = study.trials
    assert trial.values == [0.25, fake_cost(arch)]
    assert trial.constraints == {"ms over the largest budget": pytest.approx(2.0)}
    assert trial.user_attrs["sampler"] == GivenNetworks.name
    assert trial.params == {
        name: index
        for name, index in manager.encode(arch).items()
        if len(next(d for d in space.dimensions if d.name == name).choices) > 1
    }
    assert study.best_trials == []


def test_a_storage_that_cannot_be_opened_is_a_users_mistake(space: SearchSpace, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot open the study"):
        SearchRecord(space, storage="no-such://place", key="k", metric="AP", cost=fake_cost)


def test_the_cache_survives_a_torn_line(space: SearchSpace, tmp_path: Path) -> None:
    manager = ArchManager(space)
    path = tmp_path / "search" / "evaluations.jsonl"
    cache = EvaluationCache(path)
    cache.add("k", manager.smallest(), {"AP": 0.5})
    whole = path.read_text()
    path.write_text(whole + whole[: len(whole) // 2])
    again = EvaluationCache(path)
    again.add("k", manager.largest(), {"AP": 0.7})
    last = EvaluationCache(path)
    assert last.get("k", manager.smallest()) == {"AP": 0.5}
    assert last.get("k", manager.largest()) == {"AP": 0.7}
    assert last.get("other", manager.smallest()) is None
