"""Packages whose names load on first use: who imports one part does not pay for the others."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def on_first_use(
    package: str, homes: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """A package's `__getattr__` and `__dir__`, by which its public names load when they are asked for.

    Args:
        package: its `__name__`.
        homes: the modules that define the names; `"theirs as ours"` where a name is another there.
    """
    places = {
        ours: (home, theirs or ours)
        for home, names in homes.items()
        for theirs, _, ours in (name.rpartition(" as ") for name in names)
    }

    def load(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home, theirs = places[name]
        return getattr(import_module(home), theirs)

    return load, lambda: sorted(places)
