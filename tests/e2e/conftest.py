"""Rows of a table that is shown after the tests, whoever ran them and whatever was captured."""

from collections.abc import Callable

import pytest

OVERFITTED = "overfitted"


@pytest.fixture
def add_row(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Adds to the table of overfitted photographs."""
    return lambda row: request.node.user_properties.append((OVERFITTED, row))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write the table."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome)]
    rows = [row for report in reports for name, row in report.user_properties if name == OVERFITTED]
    if rows:
        terminalreporter.write_sep("=", "eight photographs overfitted")
        terminalreporter.write_line("head                     steps  seconds     AP")
        for row in rows:
            terminalreporter.write_line(str(row))
