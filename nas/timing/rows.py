"""Visits and operators as rows of a table."""

import math
from collections.abc import Mapping
from typing import Any

from nas.documents import Fields
from nas.errors import UserError
from nas.timing.profile import OperatorTime
from nas.timing.protocol import Visit


def visit_row(key: str, visit: Visit) -> dict[str, Any]:
    """One visit to the network of a key, for the table."""
    return {
        "row": "visit",
        "network": key,
        "date": visit.date,
        "operators": [operator.ms for operator in visit.operators],
        "wall_ms": [round(value, 4) for value in visit.wall_ms],
        "cpu_ms": [round(value, 4) for value in visit.cpu_ms],
        "outside_ms": None if math.isnan(visit.outside_ms) else round(visit.outside_ms, 4),
        "foreign_load": None if visit.foreign_load is None else round(visit.foreign_load, 4),
        "loaded": visit.loaded,
    }


def read_visit(row: Mapping[str, Any], operators: list[tuple[str, str]]) -> Visit:
    """The visit of a row that was checked; its operators' names and kinds stand in the network's row."""
    return Visit(
        operators=tuple(
            OperatorTime(name, kind, ms) for (name, kind), ms in zip(operators, row["operators"], strict=True)
        ),
        wall_ms=tuple(row["wall_ms"]),
        cpu_ms=tuple(row["cpu_ms"]),
        outside_ms=math.nan if row["outside_ms"] is None else row["outside_ms"],
        date=row["date"],
        foreign_load=row["foreign_load"],
        loaded=row["loaded"],
    )


def check_visit(fields: Fields, operators: int) -> None:
    """Raise UserError for a visit row that holds no times, or something else than times."""
    fields.numbers("operators", least=0, count=operators)
    fields.numbers("wall_ms", least=0)
    fields.numbers("cpu_ms", least=0)
    for name in ("outside_ms", "foreign_load"):
        if fields.get(name) is not None:
            fields.number(name)
    fields.text("date")
    fields.flag("loaded")


def read_operators(fields: Fields) -> list[tuple[str, str]]:
    """Names and kinds of a network row's operators. Raises UserError where they are none."""
    found = fields.get("operators")
    if not isinstance(found, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)
        for pair in found
    ):
        raise UserError(f"{fields.place}.operators: expected a list of pairs of name and kind")
    return [(name, kind) for name, kind in found]
