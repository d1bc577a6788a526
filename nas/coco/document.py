"""The content of a COCO file."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas.coco.values import Record
from nas.errors import UserError

LISTS = ("images", "annotations", "categories")


def read_coco(path: Path, *, lists: Sequence[str] = LISTS) -> dict[str, Any]:
    """The content of a file that has COCO's lists, whatever they hold. Raises UserError for any other."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: the annotation file does not exist") from None
    except OSError as error:
        raise UserError(f"{path}: the annotation file cannot be read ({error.strerror})") from None
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}: broken JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: this is not a JSON text file") from None
    except (ValueError, RecursionError):
        raise UserError(f"{path}: broken JSON: a number or a nesting without measure") from None
    for key in lists:
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise UserError(f"{path}: not a COCO file, it has no list {key!r}")
    return dict(content)


def records(items: Sequence[Any], path: Path, key: str) -> list[Record]:
    """The entries of a list. Raises UserError where one is no object."""
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise UserError(f"{path}: {key}[{index}] is not an object")
    return list(items)


def check_unique(ids: Sequence[int], what: str) -> None:
    """Raise UserError for an id that comes twice."""
    seen: set[int] = set()
    for id_ in ids:
        if id_ in seen:
            raise UserError(f"{what} id {id_} appears twice")
        seen.add(id_)
