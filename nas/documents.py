"""JSON and YAML that people write or edit: what is read is plain, bounded, and every fault is one line.

A document that is read here is a tree of mappings with text as keys, lists, text, numbers (finite, of at most
64 bits), booleans and nothing. It runs no code, whatever tags it carries.
"""

import json
import math
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from nas.errors import UserError

MOST_BYTES = 64 * 2**20
"""Of a JSON document; YAML, which is slow to read and written by hand, may have a sixty-fourth of that."""
_YAML_SHARE = 64
_DEEPEST = 50
_LONGEST_TEXT = 20_000
_PLAIN = (str, int, float, bool, type(None))
# What PyYAML's constructors let through for values that do not fit their tags.
_YAML_FAULTS = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError)

_short = reprlib.Repr()
_short.maxlevel, _short.maxlist, _short.maxtuple, _short.maxdict = 3, 8, 8, 6
_short.maxstring = _short.maxother = 120


def shown(value: Any) -> str:
    """A value as a message shows it: its representation, abridged where it is long or deep."""
    return _short.repr(value)


def read_json(path: Path) -> Any:
    """The document of a JSON file. Raises UserError: unreadable, not JSON, or not plain (says where)."""
    return parse_json(_read(path, "JSON"), str(path))


def parse_json(content: bytes | str, source: str) -> Any:
    """The document of a JSON text. Raises UserError `source: what is wrong`."""
    try:
        document = json.loads(content, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{source}: cannot be read as JSON: {_reason(error)}") from None
    return _plain(document, source)


def known_json(path: Path) -> dict[str, Any] | None:
    """The mapping of a JSON file that was written here; None where there is none that can be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def read_yaml(path: Path, *, keys: tuple[type, ...] = (str,)) -> Any:
    """The document of a YAML file. Raises UserError: unreadable, not YAML, or not plain (says where)."""
    return parse_yaml(_read(path, "YAML"), str(path), keys=keys)


def parse_yaml(content: bytes | str, source: str, *, keys: tuple[type, ...] = (str,)) -> Any:
    """The document of a YAML text, whose fields are named by values of `keys`.

    Raises UserError `source: what is wrong`.
    """
    import yaml

    from nas.yaml_loader import PlainLoader

    if len(content) > MOST_BYTES // _YAML_SHARE:
        raise UserError(f"{source}: cannot be read as YAML: it is larger than 1 MiB")
    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
        document = yaml.load(text, Loader=PlainLoader)
    except (yaml.YAMLError, *_YAML_FAULTS) as error:
        raise UserError(f"{source}: cannot be read as YAML: {_reason(error)}") from None
    return _plain(document, source, keys)


class Fields:
    """Typed access to the fields of a mapping of a document.

    Args:
        values: the mapping.
        place: what messages call it, such as "table.jsonl, line 1: device"; the field's name is added.

    Every method raises UserError `place.name: what is wrong`.
    """

    def __init__(self, values: Any, place: str) -> None:
        self.place = place
        if not isinstance(values, Mapping):
            raise UserError(f"{place}: expected a mapping, got {shown(values)}")
        self._values = values

    def get(self, name: str) -> Any:
        """Any value; the field has to be there."""
        if name not in self._values:
            raise UserError(f"{self.place}.{name}: is missing")
        return self._values[name]

    def fields(self, name: str) -> "Fields":
        """A mapping."""
        return Fields(self.get(name), f"{self.place}.{name}")

    def mapping(self, name: str) -> Mapping[str, Any]:
        """A mapping, as it is."""
        value = self.get(name)
        if not isinstance(value, Mapping):
            self._refuse(name, "a mapping", value)
        found: Mapping[str, Any] = value
        return found

    def text(self, name: str) -> str:
        """A text."""
        value = self.get(name)
        return value if isinstance(value, str) else self._refuse(name, "a text", value)

    def flag(self, name: str) -> bool:
        """True or false."""
        value = self.get(name)
        return value if isinstance(value, bool) else self._refuse(name, "true or false", value)

    def integer(self, name: str, *, least: int = 0) -> int:
        """An integer from `least` on."""
        value = self.get(name)
        if type(value) is not int or value < least:
            self._refuse(name, f"an integer from {least} on", value)
        return int(value)

    def number(self, name: str, *, least: float = -math.inf) -> float:
        """A finite number from `least` on."""
        value = self.get(name)
        wanted = "a number" if least == -math.inf else f"a number from {least:g} on"
        if not _is_number(value) or value < least:
            self._refuse(name, wanted, value)
        number: float = value
        return number

    def numbers(self, name: str, *, least: float = -math.inf, count: int | None = None) -> tuple[float, ...]:
        """A list of so many finite numbers from `least` on; of one or more where no count is given."""
        values = self.get(name)
        size = "a list of" if count is None else f"a list of {count}"
        wanted = f"{size} numbers" if least == -math.inf else f"{size} numbers from {least:g} on"
        if not isinstance(values, list | tuple) or (not values and count is None):
            self._refuse(name, wanted, values)
        good = all(_is_number(value) and value >= least for value in values)
        if not good or len(values) != (len(values) if count is None else count):
            self._refuse(name, wanted, values)
        return tuple(values)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        values = self.get(name)
        if not isinstance(values, list | tuple) or not all(isinstance(value, str) for value in values):
            self._refuse(name, "a list of texts", values)
        return tuple(values)

    @property
    def names(self) -> tuple[str, ...]:
        """Of all fields."""
        return tuple(self._values)

    def known(self, names: Iterable[str]) -> None:
        """Refuse fields of other names."""
        wanted = tuple(names)
        for name in self._values:
            if name not in wanted:
                raise UserError(f"{self.place}: unknown field {shown(name)}; known: {', '.join(wanted)}")

    def _refuse(self, name: str, wanted: str, value: Any) -> NoReturn:
        raise UserError(f"{self.place}.{name}: expected {wanted}, got {shown(value)}")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _read(path: Path, kind: str) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"{path}: cannot be read as {kind}: it is larger than {MOST_BYTES >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read as {kind}: {error.strerror}") from None


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8 text ({error.reason} at byte {error.start})"
    # PyYAML's messages say what, then where, over several lines.
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 400 else f"{text[:397]}..."


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the field {shown(twice)} is given twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _plain(document: Any, source: str, keys: tuple[type, ...] = (str,)) -> Any:
    """The document itself. Raises UserError where something in it is not plain; names the field."""
    todo: list[tuple[Any, tuple[Any, ...]]] = [(document, ())]
    while todo:
        value, path = todo.pop()
        if fault := _fault(value, len(path), keys):
            field = ".".join(str(part) for part in path)[:200]
            raise UserError(f"{source}: {field}: {fault}" if field else f"{source}: {fault}")
        if isinstance(value, dict):
            todo += [(entry, (*path, key)) for key, entry in value.items()]
        elif isinstance(value, list):
            todo += [(entry, (*path, index)) for index, entry in enumerate(value)]
    return document


def _fault(value: Any, depth: int, keys: tuple[type, ...]) -> str | None:
    if depth > _DEEPEST:
        return f"is nested more than {_DEEPEST} levels deep"
    if isinstance(value, dict):
        wrong = [key for key in value if type(key) not in keys]
        if wrong:
            return f"a field's name must be text, got {shown(wrong[0])}; put it in quotes"
        return next((f"a field's name: {fault}" for key in value if (fault := _scalar_fault(key))), None)
    if isinstance(value, list):
        return None
    if type(value) not in _PLAIN:
        return f"expected text, a number, a list or fields, got a {type(value).__name__}; put it in quotes"
    return _scalar_fault(value)


def _scalar_fault(value: Any) -> str | None:
    return next((fault for kind, check in _CHECKS if type(value) is kind and (fault := check(value))), None)


def _integer_fault(value: int) -> str | None:
    return None if -(2**63) <= value < 2**63 else "an integer of more than 64 bits"


def _float_fault(value: float) -> str | None:
    return None if math.isfinite(value) else f"expected a finite number, got {value}"


def _text_fault(value: str) -> str | None:
    if len(value) > _LONGEST_TEXT:
        return f"a text of {len(value)} characters is too long"
    try:
        value.encode()
    except UnicodeEncodeError:
        return f"{shown(value)} holds half of a surrogate pair, which is no character"
    return None


_CHECKS: tuple[tuple[type, Callable[[Any], str | None]], ...] = (
    (int, _integer_fault),
    (float, _float_fault),
    (str, _text_fault),
)
