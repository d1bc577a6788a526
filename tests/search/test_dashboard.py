"""A search's study in the browser."""

import json
import sys
from pathlib import Path
from threading import Thread
from urllib.request import urlopen

import pytest
from search_fakes import fake_cost, score_one

from nas.cli.main import run as nas
from nas.errors import UserError
from nas.runs import RunFolder, load_config
from nas.search.dashboard import dashboard
from nas.search.record import SearchRecord
from nas.search.storage import sqlite_url
from nas.space import ArchManager, SearchSpace


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.start(tmp_path / "run", load_config("demo"))


def test_the_page_is_of_the_runs_latest_study(run: RunFolder, space: SearchSpace) -> None:
    pytest.importorskip("optuna_dashboard")
    run.search_folder.mkdir()
    for key, recipe in (("a", "another"), ("b", run.recipe_digest()), ("c", "another")):
        record = SearchRecord(
            space, storage=sqlite_url(run.study_file), key=key, metric="AP", cost=fake_cost,
            origin={"recipe": recipe},
        )  # fmt: skip
    score_one(record, ArchManager(space).smallest(), 0.5)
    server, address = dashboard(run, storage=None, host="127.0.0.1", port=0)
    with server:
        Thread(target=server.serve_forever, daemon=True).start()
        with urlopen(address) as page:
            assert b"optuna" in page.read().lower()
        with urlopen(address.replace("/dashboard/", "/api/")) as answer:
            assert json.load(answer)["name"] == f"{space.name} AP b"
        with pytest.raises(UserError, match=r"`port` \d+ on 127\.0\.0\.1: Address already in use"):
            dashboard(run, storage=None, host="127.0.0.1", port=server.server_port)
        server.shutdown()


def test_a_run_that_was_not_searched_says_so(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna_dashboard")
    assert nas(["dashboard", str(run.path)]) == 2
    assert "no search has been run in it; run `nas search`, or give the --storage" in capsys.readouterr().err
    assert not run.study_file.exists()


def test_without_optuna_dashboard_one_line_says_what_to_install(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    assert nas(["dashboard", str(run.path)]) == 2
    said = capsys.readouterr().err
    assert "the dashboard needs optuna-dashboard, which is not installed" in said
    assert said.count("\n") == 1
