"""Claims: which process works on which trial of a study, and what becomes of it when that process is gone."""

import logging
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from threading import Event, Thread
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning, StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from nas.search.storage import BEAT_S, GRACE_S
from nas.search.worker import Worker

_log = logging.getLogger(__name__)

_WORKER = "worker"
_HEARD = "heard"
_TAKEN = "taken"
LIVE = (TrialState.COMPLETE, TrialState.RUNNING)
"""States of trials that somebody works on, or has ended."""


class Claims:
    """The trials of a study, for any number of processes that take some of them.

    A claim is a running trial that is stored whole, in one transaction that also gives it its number, and
    numbers are in the order of those transactions. So whoever has made a claim knows every earlier one, and
    two processes that want the same agree on which of them was first.

    Who holds a claim says every ten seconds that it lives. A claim is failed once nothing was heard of its
    process for a minute, or at once where the process ran on this machine and is gone.

    Args:
        storage: where the study lies.
        name: of the study, which is made where it does not exist.
        directions: of its objectives.
    """

    def __init__(
        self, storage: RDBStorage, name: str, directions: Sequence[Literal["minimize", "maximize"]]
    ) -> None:
        self.study = optuna.create_study(
            storage=storage, study_name=name, directions=directions, load_if_exists=True
        )
        self._storage = storage
        self._id = storage.get_study_id_from_name(name)

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """As the storage holds them now, by number."""
        return self.study.get_trials(deepcopy=False, states=states or None)

    def take(
        self,
        attributes: Mapping[str, Any],
        *,
        params: Mapping[str, Any] | None = None,
        distributions: Mapping[str, BaseDistribution] | None = None,
        constraints: Mapping[str, float] | None = None,
    ) -> int:
        """A new claim of this process: its number. What earlier ones stand for is the caller's to look at."""
        trial = optuna.create_trial(
            state=TrialState.RUNNING,
            params=dict(params or {}),
            distributions=dict(distributions or {}),
            user_attrs={**attributes, _WORKER: asdict(Worker.this()), _TAKEN: time.time()},
            constraints=dict(constraints or {}),
        )
        return self._storage.get_trial(self._storage.create_new_trial(self._id, trial)).number

    @contextmanager
    def held(self, number: int) -> Iterator[None]:
        """Within, the process that made a claim is heard of; the claim is given back where the work fails."""
        try:
            with self._beating(self._trial_id(number)):
                yield
        except BaseException:
            # Why the work failed is worth more than that this cannot be told.
            with suppress(StorageInternalError, SQLAlchemyError):
                self.give_back(number)
            raise

    def end(self, number: int, values: Sequence[float], **attributes: Any) -> bool:
        """Complete a claim; False where it was failed meanwhile, since its process counted as gone."""
        try:
            for name, value in attributes.items():
                self._storage.set_trial_user_attr(self._trial_id(number), name, value)
            ended = self.study.tell(number, values, skip_if_finished=True)
        except UpdateFinishedTrialError:
            return False
        return ended.state is TrialState.COMPLETE

    def give_back(self, number: int) -> None:
        """Fail a claim; one that has ended stays as it is."""
        with suppress(UpdateFinishedTrialError):
            self._storage.set_trial_state_values(self._trial_id(number), TrialState.FAIL)

    def fail_dead(self) -> None:
        """Fail the claims of processes that are gone."""
        with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
            fail_stale_trials(self.study)
        for trial in self.trials(TrialState.RUNNING):
            if _is_dead(trial):
                self.give_back(trial.number)

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)

    @contextmanager
    def _beating(self, trial: int) -> Iterator[None]:
        """Within, a thread says every few seconds that this process lives."""
        done = Event()

        def beat() -> None:
            while not done.wait(BEAT_S):
                try:
                    self._storage.record_heartbeat(trial)
                except (StorageInternalError, SQLAlchemyError) as error:
                    _log.warning("the study's storage does not answer (%s)", type(error).__name__)
            self._storage.remove_session()

        self._storage.record_heartbeat(trial)
        with suppress(UpdateFinishedTrialError):
            self._storage.set_trial_system_attr(trial, _HEARD, True)
        thread = Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def worker_of(trial: FrozenTrial) -> Worker | None:
    """Who made a claim; None for a trial that was no claim."""
    values = trial.user_attrs.get(_WORKER)
    return Worker(**values) if values else None


def _is_dead(trial: FrozenTrial) -> bool:
    """Whether the process of a running trial is gone, where no missing heartbeat says so."""
    worker = worker_of(trial)
    if worker is None:
        return False
    # It may have ended before it was heard of for the first time.
    silent = _HEARD not in trial.system_attrs
    # Seconds since 1970: times of day differ from machine to machine.
    return worker.is_gone or (silent and time.time() - trial.user_attrs.get(_TAKEN, 0.0) > GRACE_S)
