"""A step is done once; again where its inputs or its files are others; and not at all once time is up."""

import json
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from nas.interrupt import Paused
from nas.train.clock import Deadline
from nas.workflow.steps import StepRecords, WorkflowStep, digest_of, follow


class Kitchen:
    """Three steps, each of which reads what the one before wrote; counts what is done.

    Args:
        root: where they write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.done: list[str] = []
        self.settings = {"flour": 1, "oven": 200, "plates": 2}
        self.killed_in: str | None = None
        self.said = StringIO()

    @property
    def records(self) -> StepRecords:
        return StepRecords(self.root / "records", root=self.root)

    def steps(self) -> list[WorkflowStep]:
        return [
            self._step("dough", "flour", before=None),
            self._step("bread", "oven", before="dough"),
            self._step("meal", "plates", before="bread"),
        ]

    def go(self, *, clock: Callable[[], float] = lambda: 0.0, hours: float | None = None) -> list[str]:
        """Do what is missing; the names of what was done."""
        self.done = []
        console = Console(file=self.said, width=100)
        follow(self.steps(), self.records, console=console, deadline=Deadline(hours, clock=clock))
        return self.done

    def file(self, name: str) -> Path:
        return self.root / f"{name}.txt"

    def _step(self, name: str, setting: str, *, before: str | None) -> WorkflowStep:
        def inputs() -> dict[str, object]:
            read = digest_of(self.file(before)) if before else None
            return {setting: self.settings[setting], "before": read}

        def work() -> None:
            self.done.append(name)
            self.file(name).write_text(f"{name} of {self.settings[setting]}")
            if self.killed_in == name:
                raise KeyboardInterrupt

        return WorkflowStep(
            name,
            name.title(),
            (f"How {name} is made.",),
            inputs=inputs,
            made=lambda: [self.file(name)],
            work=work,
            found=lambda: [self.file(name).read_text()],
        )


@pytest.fixture
def kitchen(tmp_path: Path) -> Kitchen:
    return Kitchen(tmp_path / "here")


@pytest.fixture(autouse=True)
def _folder(kitchen: Kitchen) -> None:
    kitchen.root.mkdir()


def test_what_is_done_is_not_done_again(kitchen: Kitchen) -> None:
    assert kitchen.go() == ["dough", "bread", "meal"]
    assert "Done before" not in kitchen.said.getvalue()
    assert kitchen.go() == []
    said = kitchen.said.getvalue()
    assert said.count("Done before.") == 3
    assert said.count("How bread is made.") == 1
    assert said.count("bread of 200") == 2


def test_another_setting_makes_that_step_and_what_reads_its_result_anew(kitchen: Kitchen) -> None:
    kitchen.go()
    kitchen.settings["oven"] = 220
    assert kitchen.go() == ["bread", "meal"]
    kitchen.settings["plates"] = 3
    assert kitchen.go() == ["meal"]
    assert kitchen.go() == []


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_text("eaten")])
def test_a_result_that_is_gone_or_another_is_made_anew(
    kitchen: Kitchen, change: Callable[[Path], object]
) -> None:
    kitchen.go()
    change(kitchen.file("bread"))
    # The same bread as before: what was made of it still holds.
    assert kitchen.go() == ["bread"]


def test_a_step_that_was_stopped_is_done_again_although_its_file_is_there(kitchen: Kitchen) -> None:
    kitchen.killed_in = "bread"
    with pytest.raises(KeyboardInterrupt):
        kitchen.go()
    assert kitchen.file("bread").is_file()
    kitchen.killed_in = None
    assert kitchen.go() == ["bread", "meal"]


def test_results_stay_known_when_their_folder_moves(kitchen: Kitchen, tmp_path: Path) -> None:
    kitchen.go()
    kitchen.root = kitchen.root.rename(tmp_path / "there")
    assert kitchen.go() == []


@pytest.mark.parametrize("content", ["", "[]", "{", '{"inputs": 3}', '{"inputs": {}, "made": []}'])
def test_a_damaged_record_counts_for_nothing(kitchen: Kitchen, content: str) -> None:
    kitchen.go()
    (kitchen.root / "records" / "bread.json").write_text(content)
    assert kitchen.go() == ["bread"]


def test_a_result_of_more_or_fewer_files_is_another(kitchen: Kitchen) -> None:
    kitchen.go()
    step = kitchen.steps()[0]
    more = replace(step, made=lambda: [kitchen.file("dough"), kitchen.file("bread")])
    assert kitchen.records.holds(step.name, step.inputs(), made=step.made)
    assert not kitchen.records.holds(step.name, step.inputs(), made=more.made)
    assert not kitchen.records.holds(step.name, step.inputs(), made=list)


def test_no_further_step_begins_after_the_deadline_but_one_is_always_done(kitchen: Kitchen) -> None:
    times = iter([0.0, 10.0, 4000.0])
    with pytest.raises(Paused, match="Meal"):
        kitchen.go(hours=1.0, clock=lambda: next(times))
    assert kitchen.done == ["dough", "bread"]
    times = iter([0.0, *[9000.0] * 9])
    kitchen.settings["flour"] = 2
    with pytest.raises(Paused, match="Bread"):
        kitchen.go(hours=1.0, clock=lambda: next(times))
    assert kitchen.done == ["dough"]
    kitchen.go()
    assert kitchen.go(hours=1.0, clock=iter([0.0, 9000.0]).__next__) == []  # nothing is left to do


def test_a_step_says_what_is_left_where_it_was_done_before(kitchen: Kitchen) -> None:
    again: list[str] = []
    first = kitchen.steps()[0]
    steps = [replace(first, again=lambda: again.append("dough"))]
    for _ in range(2):
        follow(steps, kitchen.records, console=Console(file=StringIO()), deadline=Deadline(None))
    assert again == ["dough"]
    assert kitchen.done == ["dough"]


def test_records_tell_a_file_that_somebody_else_put_there(kitchen: Kitchen) -> None:
    kitchen.file("dough").write_text("bought")
    assert not kitchen.records.has_made("dough", kitchen.file("dough"))
    kitchen.go()
    assert kitchen.records.has_made("dough", kitchen.file("dough"))
    record = json.loads((kitchen.root / "records" / "dough.json").read_text())
    assert record["made"] == {"dough.txt": digest_of(kitchen.file("dough"))}
