import json

import numpy as np
import pytest

from nas.cli.console import format_cell, print_json, print_table


def test_json_says_null_for_what_is_not_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": float("nan"), "b": [np.float64(1.5), np.int64(2), float("inf")], "c": (True, "x")})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [1.5, 2, None], "c": [True, "x"]}


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
