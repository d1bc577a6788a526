"""Rows of a table that is shown after the tests, whatever of their output is captured."""

from collections.abc import Callable

import pytest

OVERFITTED = pytest.StashKey[list[str]]()


@pytest.fixture
def add_row(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Adds to the table of overfitted photographs."""
    return request.config.stash.setdefault(OVERFITTED, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write the table."""
    if rows := config.stash.get(OVERFITTED, []):
        terminalreporter.write_sep("=", "eight photographs overfitted")
        terminalreporter.write_line("head                     steps  seconds     AP")
        for row in rows:
            terminalreporter.write_line(row)
