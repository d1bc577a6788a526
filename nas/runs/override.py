"""Overrides `a.b=c`: fields of plain data put in another value's place."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nas.documents import parse_yaml
from nas.errors import UserError

LENGTHS = ("steps", "images", "epochs")
"""Fields of which one replaces the others."""

_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")


def override(values: Mapping[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """`values` with each `a.b=c` put in its place, c read as YAML.

    Raises:
        UserError: an assignment without `=`, or through something that holds no fields.
    """
    result = plain_copy(values)
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not name:
            raise UserError(f"`overrides`: {assignment}: expected NAME=VALUE, such as optimizer.lr=0.001")
        *parents, last = name.split(".")
        fields = result
        for parent in parents:
            if fields.get(parent) is None:
                fields[parent] = {}
            below = fields[parent]
            if not isinstance(below, dict):
                raise UserError(f"`overrides`: {assignment}: {parent!r} holds a value, not fields")
            fields = below
        if last in LENGTHS:
            for length in LENGTHS:
                fields.pop(length, None)
        fields[last] = _parse_value(assignment, text)
    return result


def assignment(field: str, path: Path | str) -> str:
    """The override that sets a field to a path; in quotes, so that no path is read as another value."""
    return f"{field}={json.dumps(str(path), ensure_ascii=False)}"


def _parse_value(assignment: str, text: str) -> Any:
    try:
        value = parse_yaml(text, "value")
    except UserError:
        raise UserError(f"`overrides`: {assignment}: the value is not YAML") from None
    return _number(value)


def _number(value: Any) -> Any:
    """YAML 1.1 reads 2e-3 as text (it wants 2.0e-3); a user means the number."""
    return float(value) if isinstance(value, str) and _EXPONENT.fullmatch(value) else value


def plain_copy(values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with mappings and lists of its own, and with numbers where YAML reads text."""
    copied: dict[str, Any] = _copy(values)
    return copied


def _copy(values: Any) -> Any:
    if isinstance(values, Mapping):
        return {key: _copy(value) for key, value in values.items()}
    if isinstance(values, list):
        return [_copy(value) for value in values]
    return _number(values)
