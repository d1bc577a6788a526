"""Fields that are paths: their type says so, and makes all paths of a document start from one folder."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel

from nas.files import is_file
from nas.shipped import looks_like_path

FieldPath = tuple[str | int, ...]
"""Where a field lies: names of fields and positions in lists."""


@dataclass(frozen=True)
class PathMark:
    """Marks a field of text as the path of a file or folder.

    Args:
        or_name: it may be the name of something that ships: text that is no file's, and looks like no path.
    """

    or_name: bool = False

    def start_from(self, folder: Path, text: str) -> str:
        """The absolute path of what the text names, seen from a folder; a name as it is."""
        path = folder / _expanded(text)
        if self.or_name and not looks_like_path(text) and not is_file(path):
            return text
        return str(path.absolute())


FilePath = Annotated[str, PathMark()]
FileOrName = Annotated[str, PathMark(or_name=True)]


def anchored(model: type[BaseModel], values: Any, folder: Path) -> Any:
    """Plain data of a model with its relative paths starting from a folder, and made absolute.

    A path that is left out and has a default is put in, so that the default starts from there as well.
    """
    result = deepcopy(values)
    for at, mark, text in paths_of(model, values):
        put(result, at, mark.start_from(folder, text))
    return result


def paths_of(model: type[BaseModel], values: Any) -> Iterator[tuple[FieldPath, PathMark, str]]:
    """All paths of a model's plain data, with the places of their fields."""
    return _paths(model, values, ())


def put(values: Any, at: FieldPath, value: Any) -> None:
    """Put another value into nested plain data."""
    *parents, last = at
    for name in parents:
        values = values[name]
    values[last] = value


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # nobody of that name: a folder may be called so
        return Path(text)


def _paths(kind: Any, value: Any, at: FieldPath) -> Iterator[tuple[FieldPath, PathMark, str]]:
    if get_origin(kind) is Annotated:
        inner, *marks = get_args(kind)
        mark = next((mark for mark in marks if isinstance(mark, PathMark)), None)
        if mark is None:
            yield from _paths(inner, value, at)
        elif isinstance(value, str):
            yield at, mark, value
    elif isinstance(kind, type) and get_origin(kind) is None and issubclass(kind, BaseModel):
        if isinstance(value, Mapping):
            for name, field in kind.model_fields.items():
                key = field.alias or name
                inner = field.rebuild_annotation()
                yield from _paths(inner, value.get(key, field.default), (*at, key))
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            for inner in get_args(kind):
                yield from _paths(inner, item, (*at, position))
    else:  # one of several types, or of a list a single entry that stands for it
        for inner in get_args(kind):
            yield from _paths(inner, value, at)
