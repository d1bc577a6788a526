"""Steps that are done once, and again where what they were made of has changed."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from nas.digests import file_digest
from nas.documents import known_json
from nas.files import is_file, write_json
from nas.interrupt import Paused
from nas.train.clock import Deadline

Inputs = Mapping[str, Any]
"""What a result depends on, as plain data: settings, and digests of files (None where one is not there)."""

Made = Callable[[], Sequence[Path]]
"""The files that are the result."""


@dataclass(frozen=True)
class WorkflowStep:
    """One step of a way.

    Args:
        name: of its record.
        title: what it does, for people.
        says: more on that.
        inputs: what its result depends on; asked before it is done.
        made: its files; asked where the inputs are as they were, and once it is done.
        work: makes them; goes on where a former call was stopped.
        found: lines on the result.
        again: what is left to do where the result is there.
    """

    name: str
    title: str
    says: tuple[str, ...]
    inputs: Callable[[], Inputs]
    made: Made
    work: Callable[[], None]
    found: Callable[[], Sequence[str]]
    again: Callable[[], None] = lambda: None


class StepRecords:
    """What was made of what: one JSON file for each step, written once the step is done.

    A step that was killed has none, or one of other inputs, and is done again. What it made is known by its
    content, so that the folder may move.

    Args:
        folder: of the records.
        root: that the files lie below.
    """

    def __init__(self, folder: Path, *, root: Path) -> None:
        self._folder = folder
        self._root = root

    def do(self, name: str, inputs: Inputs, *, made: Made, work: Callable[[], None]) -> None:
        """Do the work, and record what came out."""
        work()
        digests = {self._below(path): file_digest(path) for path in made()}
        write_json(self._folder / f"{name}.json", {"inputs": dict(inputs), "made": digests})

    def holds(self, name: str, inputs: Inputs, *, made: Made) -> bool:
        """Whether a result is there, whole, and of these inputs."""
        former = self._read(name)
        if former.get("inputs") != json.loads(json.dumps(dict(inputs))):
            return False
        known, files = self._made(former), {self._below(path): path for path in made()}
        return files.keys() == known.keys() and all(known[name] == digest_of(files[name]) for name in files)

    def has_made(self, name: str, path: Path) -> bool:
        """Whether a file is what the step made, and nobody has changed it since."""
        known = self._made(self._read(name)).get(self._below(path))
        return known is not None and known == digest_of(path)

    def _read(self, name: str) -> dict[str, Any]:
        """A record; empty where there is none that can be read."""
        return known_json(self._folder / f"{name}.json") or {}

    @staticmethod
    def _made(record: Mapping[str, Any]) -> Mapping[str, Any]:
        made = record.get("made")
        return made if isinstance(made, dict) else {}

    def _below(self, path: Path) -> str:
        return path.absolute().relative_to(self._root.absolute()).as_posix()


def follow(
    steps: Sequence[WorkflowStep], records: StepRecords, *, console: Console, deadline: Deadline
) -> None:
    """Do what is missing, step by step, and say so; one step at least, however near the deadline is.

    Raises:
        Paused: the deadline has passed, and another step is to be done.
    """
    worked = False
    for number, step in enumerate(steps, start=1):
        console.print(f"\n{number}/{len(steps)}  {step.title}", style="bold", markup=False)
        inputs = step.inputs()
        if records.holds(step.name, inputs, made=step.made):
            console.print("Done before.", markup=False)
            step.again()
        else:
            if worked and deadline.left <= 0:
                console.print("Time is up before this; the same command goes on here.", markup=False)
                raise Paused(step.title)
            console.print(*step.says, markup=False)
            records.do(step.name, inputs, made=step.made, work=step.work)
            worked = True
        for line in step.found():
            console.print(line, markup=False)


def digest_of(path: Path) -> str | None:
    """Changes with any byte of a file; None where there is none."""
    return file_digest(path) if is_file(path) else None
