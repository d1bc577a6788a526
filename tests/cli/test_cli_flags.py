"""The library names parameters, the command line flags."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import nas
from nas.cli.main import run
from nas.errors import UserError
from nas.runs import RunFolder

PACKAGE = Path(nas.__file__).parent
# Command lines of their own, and what they write for those who run them.
PROGRAMS = ("on_device.py", "pack.py")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("`detector_ms` names a time: leave it out", "--detector-ms names a time: leave it out"),
        ("`run` and `overrides`: not both", "RUN and --set: not both"),
        ("make one with `nas latency fit`", "make one with `nas latency fit`"),
        ("`images` is none of its parameters, nor seed", "`images` is none of its parameters, nor seed"),
        ("`as_json``trials`", "--json--trials"),
    ],
)
def test_a_parameter_in_an_error_is_shown_as_the_commands_flag(
    message: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(*_: object) -> None:
        raise UserError(message)

    monkeypatch.setattr(RunFolder, "open", refuse)
    assert run(["search", "runs/a", "--budget-ms", "5"]) == 2
    assert capsys.readouterr().err == f"Error: {said}\n"


def test_parameters_of_nested_commands_are_shown_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise UserError("`data` without `category`; `budget_ms` is another command's")

    monkeypatch.setattr("nas.data.stats.dataset_stats", refuse)
    assert run(["data", "stats", "a.json"]) == 2
    assert capsys.readouterr().err == "Error: D without --category; `budget_ms` is another command's\n"


def test_the_library_knows_no_flags() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] != "cli" and path.name not in PROGRAMS
        for line in _flags(path)
    ]
    assert found == []


def _flags(path: Path) -> Iterator[int]:
    """The lines of a module's texts, documentation included, that hold a flag."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        text = node.value if isinstance(node, ast.Constant) else None
        # A benchmark is a command line of its own as well.
        if isinstance(text, str) and re.search(r"(?<![\w-])--[a-z]", re.sub("`benchmarks/.*?`", "", text)):
            yield node.lineno
