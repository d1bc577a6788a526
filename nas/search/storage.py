"""Databases that studies lie in: any that Optuna knows, and more than one process may use at once."""

import random
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from nas.errors import UserError

BEAT_S = 10
"""So often a process that works on a trial says that it lives."""
GRACE_S = 60
"""So long nothing is heard of a process before it counts as gone."""

_ATTEMPTS = 8
_LOCKED_S = 60


def sqlite_url(path: Path) -> str:
    """The storage URL of a database file, whatever its path holds."""
    return URL.create("sqlite", database=str(path)).render_as_string()


def open_storage(url: str) -> RDBStorage:
    """The database of a storage URL, with Optuna's tables.

    Raises:
        UserError: there is no such database, it cannot be reached, or what speaks its language is not
            installed.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return _open(url)
        except ImportError:
            raise UserError(
                f"`storage` {shown(url)}: the driver of that database is not installed; for PostgreSQL, "
                "install the extra `postgres` and give postgresql+psycopg://USER@HOST/DATABASE"
            ) from None
        except (StorageInternalError, SQLAlchemyError, ValueError) as error:
            # Several processes that open an empty database at once make its tables; one of them can.
            if attempt == _ATTEMPTS - 1 or not _exists_by_now(error):
                raise UserError(f"cannot open the study in {shown(url)}: {_cause(error)}") from None
            time.sleep(random.random() / 4)
    raise AssertionError


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Within, a database that fails is a UserError."""
    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        raise UserError(
            f"the study in {shown(url)} cannot be reached: {_cause(error)}; what was scored is kept, and the "
            "same command goes on"
        ) from None


def shown(url: str) -> str:
    """A storage URL without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "the given storage (no URL such as sqlite:///study.db)"


def _open(url: str) -> RDBStorage:
    local = url.startswith("sqlite")
    with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
        return RDBStorage(
            url,
            # Connections may break while a network is scored; writers of a file wait for each other.
            engine_kwargs={"connect_args": {"timeout": _LOCKED_S}} if local else {"pool_pre_ping": True},
            heartbeat_interval=BEAT_S,
            grace_period=GRACE_S,
        )


def _exists_by_now(error: Exception) -> bool:
    said = str(error.__cause__ or error).lower()
    return "already exists" in said or "duplicate key" in said or "unique constraint" in said


def _cause(error: Exception) -> str:
    """What the database said, in one line."""
    cause = error.__cause__ or error
    lines = str(getattr(cause, "orig", None) or cause).strip().splitlines()
    return lines[0] if lines else type(cause).__name__
