"""Files that a configuration names: known by what they hold, so that one that only moved is no other file."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from nas.data.paths import FieldPath, paths_of, put
from nas.digests import file_digest
from nas.files import is_file


def named_digests(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, str]:
    """Digests of the files that plain data of a model names, by field; of those that are there."""
    return {_name(field): file_digest(text) for field, text in _files(model, values).items()}


def moved_back(
    model: type[BaseModel],
    values: Mapping[str, Any],
    former: Mapping[str, Any],
    digests: Mapping[str, str],
) -> dict[str, Any]:
    """`values` with the former path wherever a file of another path holds what the former one held.

    Args:
        model: of both.
        values: plain data.
        former: what it is going to be compared with.
        digests: of the files that `former` names, where they are known; others are looked at.
    """
    then = {field: text for field, _, text in paths_of(model, former)}
    result = deepcopy(dict(values))
    for field, text in _files(model, values).items():
        known = then.get(field, text)
        if known == text:
            continue
        held = digests.get(_name(field)) or (file_digest(known) if is_file(Path(known)) else None)
        if held == file_digest(text):
            put(result, field, known)
    return result


def _files(model: type[BaseModel], values: Mapping[str, Any]) -> dict[FieldPath, str]:
    """The paths of files that are there; neither of folders, nor names of what ships."""
    return {
        field: text
        for field, _, text in paths_of(model, values)
        if Path(text).is_absolute() and is_file(Path(text))
    }


def _name(field: FieldPath) -> str:
    return ".".join(map(str, field))
