"""Progress: what a person sees of long work, on a terminal and elsewhere."""

import io

import pytest
from rich.console import Console

import nas.progress
from nas.progress import ProgressDisplay, duration


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(nas.progress, "time", clock)
    return clock


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (89 * 60, "89 min"), (185 * 60, "3 h 05 min")],
)
def test_times_as_a_person_says_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_lines_come_now_and_then_and_at_the_end(clock: Clock) -> None:
    lines: list[str] = []
    with ProgressDisplay("work", say=lines.append, total=100) as display:
        display.begin(40)
        for seconds, done in ((9, 41), (12, 46), (19, 60), (30, 100)):
            clock.now = 1000.0 + seconds
            display.update(done, note="well")
    # What had been done before tells nothing of the pace.
    assert lines == [
        "work 46/100  2.0 s each, 2 min left   well",
        "work 100/100  2.0/s, 0 s left   well",
    ]


def test_the_end_of_short_work_need_not_be_told(clock: Clock) -> None:
    lines: list[str] = []
    display = ProgressDisplay("work", say=lines.append, last=False)
    for done in range(1, 4):
        display.update(done, 3)
    assert lines == []


def test_a_caller_says_its_own_pace_and_when_no_line_is_due(clock: Clock) -> None:
    lines: list[str] = []
    display = ProgressDisplay("work", say=lines.append, total=9)
    display.update(1, line=None)
    clock.now += 60
    display.update(2, line=None)
    display.update(3, detail="5 images/s", line="loss 0.5")
    assert lines == ["work 3/9  5 images/s  loss 0.5"]


def test_work_without_a_known_end_has_a_pace(clock: Clock) -> None:
    lines: list[str] = []
    display = ProgressDisplay("frames", say=lines.append)
    clock.now += 10
    display.update(1250, None)
    assert lines == ["frames 1,250  125/s"]


def test_a_bar_on_a_terminal_shows_names_as_they_are() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, color_system=None, width=80)
    lines: list[str] = []
    with ProgressDisplay("[red]a\x1b", say=lines.append, console=console, total=4) as display:
        display.update(3, detail="[b]fast")
    assert "[red]a\\x1b" in stream.getvalue()
    assert "3/4 [b]fast" in stream.getvalue()
    assert lines == []
