"""Who is slow sees fewer frames, the newest ones."""

from collections.abc import Iterator
from threading import Event

import pytest

from nas.runtime.newest import Newest


def test_what_came_meanwhile_is_passed_over_but_never_the_last() -> None:
    first_taken, all_came = Event(), Event()

    def items() -> Iterator[int]:
        yield 1
        first_taken.wait()
        yield from (2, 3, 4)
        all_came.set()

    newest = Newest(items())
    taken = iter(newest)
    assert next(taken) == 1
    first_taken.set()
    all_came.wait()
    assert list(taken) == [4]
    assert newest.passed_over == 2
    assert newest.close()


def test_what_goes_wrong_is_told_where_items_are_taken() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    taken = iter(Newest(items()))
    assert next(taken) == 1
    with pytest.raises(OSError, match="gone"):
        next(taken)


def test_nothing_is_taken_any_more_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    closing, beyond = Event(), Event()

    def items() -> Iterator[int]:
        yield 0
        closing.wait()
        yield 1
        beyond.set()

    newest = Newest(items())
    assert next(iter(newest)) == 0
    join = newest._thread.join

    def close_and_join(patience: float) -> None:
        closing.set()
        join(patience)

    monkeypatch.setattr(newest._thread, "join", close_and_join)
    assert newest.close()
    assert not beyond.is_set()


def test_what_never_comes_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.runtime.newest._PATIENCE", 0.01)
    never = Event()

    def items() -> Iterator[int]:
        yield 0
        never.wait()

    newest = Newest(items())
    assert next(iter(newest)) == 0
    assert not newest.close()
    never.set()
