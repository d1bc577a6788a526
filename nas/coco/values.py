"""Values as annotation files write them: read leniently where only one meaning is possible."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from nas.arrays import Floats
from nas.documents import shown

Record = Mapping[str, Any]

_DIGITS = re.compile(r"\s*-?[0-9]{1,19}\s*")
_NUMBERS = {int, float, type(None)}
_FLAGS = {"": False, "0": False, "false": False, "1": True, "true": True}
_LISTED = 20
_LONGEST_NAME = 60


class EntryError(ValueError):
    """What is wrong with one entry of a file; whoever reads the file says where."""


def whole(value: Any) -> int | None:
    """A whole number of at most 64 bits: an integer, a float of its value, digits in quotes; else None."""
    if isinstance(value, str):
        value = int(value) if _DIGITS.fullmatch(value) else None
    elif isinstance(value, float):
        value = int(value) if value.is_integer() else None
    return value if type(value) is int and -(2**63) <= value < 2**63 else None


def number(value: Any) -> float | None:
    """A finite number; else None."""
    if type(value) not in (int, float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def numbers(values: Any) -> Floats | None:
    """A list of numbers [N], NaN where one is null; None for anything else."""
    if not isinstance(values, list) or not set(map(type, values)) <= _NUMBERS:
        return None
    try:
        return np.array(values, np.float64)
    except OverflowError:
        return None


def flag(value: Any) -> bool | None:
    """0, 1, true or false, also in quotes; null is false; None for anything else."""
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, str):
        return _FLAGS.get(value.strip().lower())
    return bool(value) if isinstance(value, int | float) and value in (0, 1) else None


def listed(names: Iterable[Any]) -> str:
    """Names of a file as a message shows them."""
    texts = [_name(name) for name in names]
    more = [f"and {len(texts) - _LISTED} more"] if len(texts) > _LISTED else []
    return ", ".join(texts[:_LISTED] + more)


def _name(name: Any) -> str:
    plain = isinstance(name, str) and name.isprintable() and 0 < len(name) <= _LONGEST_NAME
    return name if plain else shown(name)
