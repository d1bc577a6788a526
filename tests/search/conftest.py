"""The space that searches are tested on."""

import pytest

from nas.space import SearchSpace


@pytest.fixture(scope="session")
def space() -> SearchSpace:
    return SearchSpace.load("demo")
