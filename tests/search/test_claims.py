"""Several processes score for one record: no network twice, none lost, whatever becomes of one of them."""

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from optuna.trial import FrozenTrial, TrialState
from search_fakes import FakeEvaluator, GivenNetworks, claim_one, fake_cost, fake_costs, score_one
from sqlalchemy import make_url, text

from nas.errors import UserError
from nas.search import claims
from nas.search.loop import score_networks
from nas.search.record import EvaluationCache, SearchRecord
from nas.search.samplers import SAMPLERS
from nas.search.storage import GRACE_S, open_storage, reaching, sqlite_url
from nas.search.values import Evaluation
from nas.search.worker import Worker
from nas.space import Arch, ArchManager, SearchSpace

BUDGETS = (9e9,)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "study.db")
    found: str = request.getfixturevalue("database")
    return found


@pytest.fixture
def archs(space: SearchSpace) -> list[Arch]:
    rng = np.random.default_rng(0)
    return [ArchManager(space).sample(rng) for _ in range(6)]


def open_record(space: SearchSpace, url: str) -> SearchRecord:
    return SearchRecord(space, storage=url, key="k", metric="AP", cost=fake_cost)


def trials(record: SearchRecord, *states: TrialState) -> list[FrozenTrial]:
    return record._claims.trials(*states)


def search(
    space: SearchSpace, url: str, folder: Path, evaluate: FakeEvaluator, **options: object
) -> list[Evaluation]:
    return score_networks(
        SAMPLERS["random"](space, fake_costs, budgets_ms=BUDGETS, seed=0),
        evaluate,
        record=open_record(space, url),
        cache=EvaluationCache(folder / "evaluations.jsonl"),
        budgets_ms=BUDGETS,
        report=lambda _: None,
        **{"trials": 12, **options},  # type: ignore[arg-type]
    )


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> "Elsewhere":
    return Elsewhere(monkeypatch)


class Elsewhere:
    """Lets claims be made in the name of other processes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch

    def claim(self, worker: Worker, record: SearchRecord, arch: Arch) -> int:
        with self._patch.context() as patch:
            patch.setattr(Worker, "this", classmethod(lambda cls: worker))
            return claim_one(record, arch).number

    @property
    def here(self) -> Worker:
        """A process that was killed on this machine."""
        process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        worker = replace(Worker.this(), pid=process.pid, started=1)
        process.kill()
        process.wait()
        return worker

    @property
    def far(self) -> Worker:
        """A process of another machine, of which only its heartbeat tells."""
        return replace(Worker.this(), host="far", system="of another machine")


def silence(url: str, seconds: int) -> None:
    """As if nothing had been heard of any process for so much longer."""
    ago = (
        f"datetime(heartbeat, '-{seconds} seconds')"
        if url.startswith("sqlite")
        else f"heartbeat - interval '{seconds} seconds'"
    )
    with open_storage(url).engine.begin() as connection:
        connection.execute(text(f"UPDATE trial_heartbeats SET heartbeat = {ago}"))


def test_two_that_draw_the_same_at_the_same_time_score_different_networks(
    space: SearchSpace, url: str, archs: list[Arch]
) -> None:
    """Another one claims after the draw and before the claim: then the later claim is given back."""
    first, second = open_record(space, url), open_record(space, url)
    quicker = []

    def meanwhile() -> None:
        if not quicker:
            quicker.append(claim_one(second, archs[0]))

    claim = first.claim(GivenNetworks(space, archs, meanwhile), budgets_ms=BUDGETS, most=9)
    assert claim is not None
    assert [quicker[0].arch, claim.arch] == archs[:2]
    assert [trial.state for trial in trials(first)] == [
        TrialState.RUNNING,
        TrialState.FAIL,
        TrialState.RUNNING,
    ]


def test_no_more_are_claimed_than_are_wanted(space: SearchSpace, url: str, archs: list[Arch]) -> None:
    first, second = open_record(space, url), open_record(space, url)
    score_one(first, archs[0], 0.1)
    late = GivenNetworks(space, archs[2:], lambda: claim_one(second, archs[1]))
    assert first.claim(late, budgets_ms=BUDGETS, most=2) is None
    assert len(trials(first, TrialState.RUNNING)) == 1
    # Searches for other budgets have a count of their own, and the same networks.
    mine = first.claim(GivenNetworks(space, archs), budgets_ms=[8e9], most=1)
    assert mine is not None
    assert mine.arch == archs[2]


def test_numbers_are_in_the_order_of_claims(space: SearchSpace, url: str, archs: list[Arch]) -> None:
    records = [open_record(space, url), open_record(space, url)]
    numbers = [claim_one(records[place % 2], arch).number for place, arch in enumerate(archs)]
    assert numbers == list(range(len(archs)))
    assert trials(records[0])[3].user_attrs["worker"] == asdict(Worker.this())


def test_what_a_killed_process_of_this_machine_had_is_asked_again_at_once(
    space: SearchSpace, url: str, archs: list[Arch], other: Elsewhere
) -> None:
    record = open_record(space, url)
    lost = other.claim(other.here, open_record(space, url), archs[0])
    claim = record.claim(GivenNetworks(space, archs[1:]), budgets_ms=BUDGETS, most=2)
    assert claim is not None
    assert claim.arch == archs[0]
    assert trials(record)[lost].state is TrialState.FAIL
    again = record.claim(GivenNetworks(space, archs[1:]), budgets_ms=BUDGETS, most=2)
    assert again is not None
    assert again.arch == archs[1]


def test_what_a_process_elsewhere_has_is_asked_again_once_nothing_is_heard_of_it(
    space: SearchSpace, url: str, archs: list[Arch], other: Elsewhere
) -> None:
    record, far = open_record(space, url), open_record(space, url)
    number = other.claim(other.far, far, archs[0])
    with far._claims._beating(far._claims._trial_id(number)):
        pass
    silence(url, GRACE_S - 20)
    assert record.claim(GivenNetworks(space, archs), budgets_ms=BUDGETS, most=1) is None
    silence(url, 40)
    claim = record.claim(GivenNetworks(space, archs[1:]), budgets_ms=BUDGETS, most=1)
    assert claim is not None
    assert claim.arch == archs[0]


def test_a_process_that_ended_before_it_was_heard_of_holds_nothing(
    space: SearchSpace, url: str, archs: list[Arch], other: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = open_record(space, url)
    other.claim(other.far, open_record(space, url), archs[0])
    assert record.claim(GivenNetworks(space, archs), budgets_ms=BUDGETS, most=1) is None
    monkeypatch.setattr(claims, "GRACE_S", -1)
    claim = record.claim(GivenNetworks(space, archs[1:]), budgets_ms=BUDGETS, most=1)
    assert claim is not None
    assert claim.arch == archs[0]


def test_a_process_that_lost_its_claim_changes_nothing(
    space: SearchSpace, url: str, archs: list[Arch]
) -> None:
    slow, quick = open_record(space, url), open_record(space, url)
    claim = claim_one(slow, archs[0])
    quick._claims.give_back(claim.number)
    taken = claim_one(quick, archs[1])
    assert taken.arch == archs[0]
    assert slow.tell(claim, {"AP": 0.7}) is None
    assert quick.tell(taken, {"AP": 0.3}) is not None
    assert [item.accuracy for item in slow.history()] == [0.3]


def test_what_is_left_behind_over_todays_budget_is_left(
    space: SearchSpace, url: str, archs: list[Arch]
) -> None:
    """A refitted predictor may have made it so."""
    record = open_record(space, url)
    budgets = [2 * max(map(fake_cost, archs))]
    record._claims.give_back(claim_one(record, archs[0], budgets_ms=budgets).number)
    record.use(lambda arch: 3 * budgets[0] if arch == archs[0] else 1.0, predictor="refitted")
    claim = record.claim(GivenNetworks(space, archs[1:]), budgets_ms=budgets, most=1)
    assert claim is not None
    assert claim.arch == archs[1]


def test_an_interrupted_evaluation_is_nobodys_at_once(space: SearchSpace, url: str, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        search(space, url, tmp_path, FakeEvaluator(fail_after=3))
    states = [trial.state for trial in trials(open_record(space, url))]
    assert states == [TrialState.COMPLETE] * 3 + [TrialState.FAIL]


def test_the_last_ones_are_waited_for_and_taken_over_where_they_are_left(
    space: SearchSpace, url: str, tmp_path: Path, archs: list[Arch]
) -> None:
    slow = open_record(space, url)
    ended, left = claim_one(slow, archs[0], budgets_ms=BUDGETS), claim_one(slow, archs[1], budgets_ms=BUDGETS)
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            slow.tell(ended, {"AP": 0.5})
        if len(waits) == 3:
            slow._claims.give_back(left.number)

    evaluate = FakeEvaluator()
    history = search(space, url, tmp_path, evaluate, trials=4, wait=wait)
    assert len(waits) == 3
    assert len(history) == 4
    assert evaluate.asked[2:] == [archs[1]]
    assert archs[0] not in evaluate.asked


def test_two_workers_score_everything_once(space: SearchSpace, url: str, tmp_path: Path) -> None:
    """Each with what it has of its own; both open the empty database."""
    evaluators = [FakeEvaluator(), FakeEvaluator()]
    for number in range(2):
        (tmp_path / str(number)).mkdir()
    workers = [
        Thread(
            target=search,
            args=(space, url, tmp_path / str(number), evaluators[number]),
            kwargs={"trials": 12, "wait": lambda _: None},
        )
        for number in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    asked = [arch for evaluate in evaluators for arch in evaluate.asked]
    assert len(asked) == len(set(asked)) == 12
    record = open_record(space, url)
    assert {item.arch for item in record.history()} == set(asked)
    assert all(evaluate.asked for evaluate in evaluators)
    assert trials(record, TrialState.RUNNING) == []


def test_scores_of_others_in_the_same_folder_are_known(tmp_path: Path, archs: list[Arch]) -> None:
    path = tmp_path / "evaluations.jsonl"
    one, two = EvaluationCache(path), EvaluationCache(path)
    for place, arch in enumerate(archs):
        (one, two)[place % 2].add("k", arch, {"AP": place / 10})
        assert (two, one)[place % 2].get("k", arch) == {"AP": place / 10}
    assert len(path.read_text().splitlines()) == len(archs)


def test_a_process_knows_which_others_are_gone(other: Elsewhere) -> None:
    me = Worker.this()
    assert not me.is_gone
    assert other.here.is_gone
    assert not other.far.is_gone
    if me.system:
        # Another process has the number by now.
        assert replace(me, started=me.started + 1).is_gone


def test_a_process_that_nobody_has_waited_for_is_gone() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "import json; from dataclasses import asdict; "
         "from nas.search.worker import Worker; print(json.dumps(asdict(Worker.this())))"],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    worker = Worker(**json.loads(process.stdout.read()))
    assert worker.host == Worker.this().host
    process.wait()
    assert worker.is_gone


def test_a_database_that_fails_is_told_in_one_line(space: SearchSpace, tmp_path: Path, url: str) -> None:
    record = open_record(space, url)
    with record._claims._storage.engine.begin() as connection:
        connection.execute(text("ALTER TABLE trials RENAME TO others"))
    said = "cannot be reached: .*trials.*; what was scored is kept, and the same command goes on"
    with pytest.raises(UserError, match=said), reaching(url):
        record.history()


def test_a_missing_driver_is_named(space: SearchSpace) -> None:
    with pytest.raises(
        UserError, match=r"`storage` oracle://me:.*: the driver .* is not installed"
    ) as caught:
        open_record(space, "oracle://me:secret@host/db")
    assert "secret" not in str(caught.value)


def test_a_server_that_lets_nobody_in_is_told_in_one_line(space: SearchSpace, database: str) -> None:
    url = make_url(database).set(password="guessed").render_as_string(hide_password=False)
    with pytest.raises(UserError, match=r"cannot open the study in postgresql.*password") as caught:
        open_record(space, url)
    assert "guessed" not in str(caught.value)
    assert "\n" not in str(caught.value)
