"""The space that searches are tested on, and databases that they lie in."""

from collections.abc import Iterator
from itertools import count

import pytest
from postgres_server import new_database, postgres_server, why_not

from nas.space import SearchSpace

_numbers = count(1)


@pytest.fixture(scope="session")
def space() -> SearchSpace:
    return SearchSpace.load("demo")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A server's URL; the test is skipped where none can be started."""
    if reason := why_not():
        pytest.skip(reason)
    with postgres_server() as url:
        yield url


@pytest.fixture
def database(postgres: str) -> str:
    """The storage URL of an empty database on a PostgreSQL server."""
    return new_database(postgres, f"search{next(_numbers)}")
