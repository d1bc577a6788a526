"""Every command of the documentation exists, takes the options that are given, and misses none."""

import re
from typing import Any

import pytest
import typer
from pages_of_docs import PAGES, ROOT, Command, blocks, commands, spans

from nas.cli.main import app

SHELL = ("", "bash", "sh", "console")


@pytest.fixture(scope="module")
def nas() -> Any:
    return typer.main.get_command(app)


def parsed(nas: Any, words: tuple[str, ...]) -> Any:
    """The context of the innermost command, as far as the words name one."""
    context = nas.make_context("nas", list(words), resilient_parsing=True)
    command, left, name = nas, list(words), "nas"
    while hasattr(command, "commands"):
        assert left, "a group without a command"
        name = left.pop(0)
        assert name in command.commands, f"there is no command {name!r}"
        command = command.commands[name]
    return command.make_context(name, left, parent=context)


@pytest.mark.parametrize(
    "command", commands(blocks(*SHELL)), ids=lambda command: f"{command.page}: {' '.join(command.words)}"[:90]
)
def test_a_command_line_parses(nas: Any, command: Command) -> None:
    parsed(nas, command.words)


def test_commands_are_found_where_they_stand() -> None:
    found = {command.page for command in commands(blocks(*SHELL))}
    assert {"README.md", "docs/quick-start.md", "docs/training.md", "docs/data.md"} <= found
    wrapped = [command.words for command in commands(blocks(*SHELL)) if command.page == "docs/training.md"]
    assert wrapped.count(("train", "RECIPE")) >= 2, "behind torchrun and srun"
    assert any("--hours" in words and words[0] == "train" for words in wrapped), "inside of a loop"


@pytest.mark.parametrize(
    "words",
    [
        ("tain", "demo"),
        ("train",),
        ("train", "demo", "--budget-ms", "5"),
        ("latency", "fitt", "t"),
        ("latency",),
    ],
)
def test_what_does_not_exist_is_noticed(nas: Any, words: tuple[str, ...]) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011 - typer's or the helper's own
        parsed(nas, words)


@pytest.mark.parametrize(
    "command", spans(), ids=lambda command: f"{command.page}: {' '.join(command.words)}"[:90]
)
def test_what_running_text_calls_a_command_is_one(nas: Any, command: Command) -> None:
    """Arguments may be left out there, and `a|b` stands for two commands."""
    inner, known = [nas], set()
    for word in command.words:
        groups = [group for group in inner if hasattr(group, "commands")]
        if not groups:
            break
        if word == "COMMAND":
            return
        (group,) = groups
        missing = [name for name in word.split("|") if name not in group.commands]
        assert not missing, f"there is no command {missing}"
        inner = [group.commands[name] for name in word.split("|")]
    for found in inner:
        known |= {
            option for parameter in found.params for option in (*parameter.opts, *parameter.secondary_opts)
        }
    options = {word.partition("=")[0] for word in command.words if word.startswith("--")}
    assert options <= known | {"--help", "--version"}


def test_options_that_running_text_names_exist(nas: Any) -> None:
    """Of some command, or of the program that devices run."""
    known = {"--help", "--without-grouping"}
    groups = [nas]
    while groups:
        command = groups.pop()
        groups += getattr(command, "commands", {}).values()
        for parameter in command.params:
            known |= {*parameter.opts, *parameter.secondary_opts}
    for path in PAGES:
        named = set(re.findall(r"`(--[a-z][\w-]*)", path.read_text(encoding="utf-8")))
        assert named <= known, path.name


def test_comments_of_recipes_name_commands_that_exist(nas: Any) -> None:
    lines = [
        line.split("#", 1)[1].split("FOLDER ")[0].strip()
        for path in sorted((ROOT / "supernets").glob("*.yaml"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("#   ") and "nas " in line
    ]
    assert len(lines) > 5
    for line in lines:
        words = line.split()
        parsed(nas, tuple(words[words.index("nas") + 1 :][:4]))
