"""What the tests of several files alter plain data with."""

import copy
from typing import Any


def altered(data: dict[str, Any], field: str, value: Any) -> dict[str, Any]:
    """A copy of plain data with one field replaced; `...` removes it."""
    data = copy.deepcopy(data)
    *path, last = (int(part) if part.isdigit() else part for part in field.split("."))
    place: Any = data
    for part in path:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return data
