"""Documents spoilt in every way that hands and disks spoil them."""

import json
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

Path = tuple[Any, ...]

_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 3, 8, 10**6, 10**9, 2**31, -(2**63), 2**63, 10**30, 0.0, -0.5, 1e-300, 1e300,
    "", "x", "nan", "1e999", "-1", "8", "../../x", "a\nb\x1b[31m", "\ud800", "é" * 50, "x" * 30_000, [], {},
    [[]], [None], [1, 1], [8, "x"], {"x": 1}, {"": {}}, [[[[1]]]], [{}],
)  # fmt: skip
"""Other types, and numbers and texts at the edges."""

_RAW_JSON = (
    "NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, "[" * 3000 + "]" * 3000,
    '{"a":' * 200 + "1" + "}" * 200, "01", "'x'", "", '"\\ud800"', "\x00", "// x",
)  # fmt: skip

_BOMB = "[&a0 [x,x,x,x,x,x,x,x,x],{}]".format(
    ",".join(f"&a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))
)

RUNS_CODE = "!!python/object/apply:os.mkdir [SENTINEL]"

_RAW_YAML = (
    RUNS_CODE, "!!python/object/new:os.system ['touch SENTINEL']", "!!python/name:os.system",
    "!!python/tuple [1, 2]", "!x 1", "!!int x", "!!float x", "!!bool x", "!!timestamp x",
    "!!binary '@'", "!!binary aGk=",
    "!!set {a, b}", "!!omap [a: 1]", "!!pairs [a: 1]", "2001-99-99", "2001-01-01", "2001-01-01 10:00:00",
    ".nan", ".inf", "-.inf", "1e999", "0x" + "f" * 5000, "9" * 5000, "12:30:45", "1_000", "&a [*a]",
    "&a {x: *a}", "*nowhere", _BOMB, "{<<: 1}", "{<<: [1]}", "{<<: {x: 1}}", "{? [1]: 2}", "{? {a: 1}: 2}",
    "{1: 2}", "{null: 1}", "~", "|", "- x", "[" * 300 + "]" * 300, "[" * 3000 + "]" * 3000, "\x00", "\t",
    "%YAML 9", "\n---\n", "\x85",
)  # fmt: skip

_INSERTED = (
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"',
    "'",
    "\\",
    "\n",
    "\x00",
    "&",
    "*",
    "\t",
    "-",
    "9",
    "é",
    "\ufeff",
)


class Repeated(dict[str, Any]):
    """A mapping that is written with one of its fields given twice."""

    def items(self) -> Any:
        entries = list(super().items())
        return [*entries, *entries[:1]]


class Raw:
    """Texts that stand in a document where values should stand."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts

    def marks(self) -> list[str]:
        """Values that `put_in` replaces."""
        return [f"@raw{number}@" for number in range(len(self._texts))]

    def put_in(self, text: str) -> str:
        """The text with the marks replaced."""
        for mark, raw in zip(self.marks(), self._texts, strict=True):
            text = text.replace(f'"{mark}"', raw)
        return text


def raw_json() -> Raw:
    """What JSON can hold but should not."""
    return Raw(_RAW_JSON)


def raw_yaml(sentinel: str) -> Raw:
    """What YAML can hold but should not; some of it would create the file `sentinel`."""
    return Raw([text.replace("SENTINEL", sentinel) for text in _RAW_YAML])


@st.composite
def spoilt_trees(draw: st.DrawFn, document: Any, raw: Raw) -> Any:
    """The document with one to three of its values deleted, renamed, repeated, moved or replaced."""
    tree = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(tree))
        place = draw(st.sampled_from(places))
        change = draw(
            st.sampled_from(("replace", "raw", "delete", "rename", "repeat", "move", "nest", "copy"))
        )
        tree = _changed(draw, tree, place, change, places, raw)
    return tree


@st.composite
def spoilt_texts(draw: st.DrawFn, text: str) -> bytes:
    """The text cut off, with something put in or taken out, or in another encoding."""
    at = draw(st.integers(0, len(text)))
    length = draw(st.integers(1, 40))
    inserted = draw(st.sampled_from(_INSERTED)) * draw(st.sampled_from((1, 2, 1000)))
    changed = draw(
        st.sampled_from((text, text[:at], text[:at] + inserted + text[at:], text[:at] + text[at + length :]))
    )
    encoding = draw(
        st.sampled_from(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32-be", "latin-1"))
    )
    noise = draw(st.sampled_from((b"", b"", b"", b"\xff\xfe", b"\x80", b"\x00")))
    return changed.encode(encoding, errors="replace") + noise


@st.composite
def spoilt(draw: st.DrawFn, documents: Sequence[Any], raw: Raw) -> bytes:
    """One of the documents, spoilt as a tree, as text, or as both, as JSON (which YAML can read as well)."""
    document = draw(st.sampled_from(list(documents)))
    how = draw(st.sampled_from(("tree", "tree", "text", "both")))
    tree = document if how == "text" else draw(spoilt_trees(document, raw))
    text = raw.put_in(json.dumps(tree, indent=draw(st.sampled_from((None, 1)))))
    if how == "tree":
        return text.encode("utf-8", errors="surrogatepass")
    return draw(spoilt_texts(text))


def _places(tree: Any, path: Path = ()) -> Iterator[Path]:
    yield path
    if isinstance(tree, dict):
        for key, value in dict.items(tree):
            yield from _places(value, (*path, key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree[:30]):
            yield from _places(value, (*path, index))


def _value(tree: Any, path: Path) -> Any:
    for part in path:
        tree = tree[part]
    return tree


def _changed(draw: st.DrawFn, tree: Any, place: Path, change: str, places: Sequence[Path], raw: Raw) -> Any:
    value = _value(tree, place)
    if change == "repeat" and isinstance(value, dict):
        new: Any = Repeated(value)
    elif change == "move":
        new = json.loads(json.dumps(_value(tree, draw(st.sampled_from(list(places))))))
    elif change == "nest":
        new = value
        for _ in range(draw(st.sampled_from((1, 3, 60)))):
            new = [new]
    elif change == "copy" and isinstance(value, list) and len(json.dumps(value)) < 5000:
        new = value * draw(st.sampled_from((2, 7)))
    elif change == "raw":
        new = draw(st.sampled_from(raw.marks()))
    else:
        new = deepcopy(draw(st.sampled_from(_VALUES)))
    if not place:
        return new
    parent, last = _value(tree, place[:-1]), place[-1]
    if change == "delete":
        del parent[last]
    elif change == "rename" and isinstance(parent, dict):
        parent[draw(st.sampled_from(("x", "", "Name", "a\nb", "version", "\ud800", f"{last} ")))] = (
            parent.pop(last)
        )
    else:
        parent[last] = new
    return tree
