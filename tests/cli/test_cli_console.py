import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nas
from nas.cli.console import format_cell, out, print_json, print_table, remark, say


def test_json_says_null_for_what_is_not_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": float("nan"), "b": [np.float64(1.5), np.int64(2), float("inf")], "c": (True, "x")})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [1.5, 2, None], "c": [True, "x"]}


def test_the_first_of_several_processes_prints_the_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(out, "quiet", True)
    print_json({"a": 1})
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1234567, "1,234,567"),
        (0.12345, "0.123"),
        (None, "-"),
        (float("nan"), "-"),
        (True, "True"),
        ("a", "a"),
    ],
)
def test_cells(value: object, shown: str) -> None:
    assert format_cell(value) == shown


def test_a_table_accepts_short_rows_and_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("title", ("name", "value"), [("[bold]x", 1), ("y",)])
    shown = capsys.readouterr().out
    assert "[bold]x" in shown
    assert "title" in shown


@pytest.mark.parametrize("text", ["[v2]", "[/b]", "[bold]a[/bold]", ":smile:", "[link=x]y", "run [1] {x} %s"])
def test_what_users_named_is_no_markup(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(text)
    say(text, style="bold")
    remark(text)
    print_table(text, ("name", text), [(text, text)])
    printed = capsys.readouterr()
    assert printed.out.count(text) == 6
    assert printed.err == f"{text}\n"


@pytest.mark.parametrize("sign", ["\x1b[2J", "\r", "\n", "\x07", "\x9b31m", "\u202e", "\udcff"])
def test_control_characters_reach_no_terminal(sign: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(f"a{sign}b.jpg")
    remark(f"a{sign}b.jpg")
    print_table(None, ("name",), [(f"a{sign}b.jpg",)])
    printed = capsys.readouterr()
    lines = [*printed.out.splitlines(), *printed.err.splitlines()]
    assert len(lines) == 4
    assert all(line.isprintable() for line in lines)
    assert sum(line.startswith("a\\") for line in lines) == 3


def test_log_messages_are_printable() -> None:
    program = (
        "import logging; from nas.cli.console import log_to_console; log_to_console(); "
        r"logging.getLogger('nas').warning('%s: [/b]', 'a\x1b[2Jb')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == "a\\x1b[2Jb: [/b]\n"


def test_only_the_console_prints() -> None:
    """Texts reach the terminal through one module; what runs on other devices has its own."""
    package = Path(nas.__file__).parent
    allowed = {"cli/console.py", "timing/on_device.py", "timing/memory.py"}
    found = [
        f"{name}:{node.lineno} {ast.unparse(node)[:60]}"
        for path in package.rglob("*.py")
        if (name := path.relative_to(package).as_posix()) not in allowed
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and _prints(node)
    ]
    assert found == []


def _prints(call: ast.Call) -> bool:
    called, options = ast.unparse(call.func), {word.arg: ast.unparse(word.value) for word in call.keywords}
    if called.endswith("console.print") or called.endswith("TextColumn"):
        return options.get("markup") != "False"
    return called in {"print", "out.print", "err.print", "typer.echo", "Console", "Text.from_markup"}
