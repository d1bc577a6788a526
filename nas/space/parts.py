"""The registry of parts: stems, blocks, up-samplers, necks and heads, by kind and name.

Outside packages bring parts of their own (docs/adding-a-part.md): the entry points of the group `nas.parts`
are loaded when a name is asked for that does not ship, or when all names are.
"""

from functools import cache
from typing import TypeVar

from nas.documents import shown
from nas.errors import UserError
from nas.space.catalogue import SHIPPED
from nas.space.specs import PartSpec

_GROUPS = {"nas.parts": "part", "nas.heads": "head"}  # the latter is older than other parts

_Spec = TypeVar("_Spec", bound=PartSpec)
_REGISTRY: dict[tuple[type[PartSpec], str], PartSpec] = {(type(spec), spec.name): spec for spec in SHIPPED}


def register(spec: _Spec) -> _Spec:
    """Make a part known. Raises ValueError where the name is taken by another part of its kind."""
    if _REGISTRY.setdefault((type(spec), spec.name), spec) != spec:
        raise ValueError(f"a {spec.noun} named {spec.name!r} is registered already")
    return spec


def find(kind: type[_Spec], name: str) -> _Spec | None:
    """The part of that kind and name; None where there is none, in installed packages neither."""
    spec = _REGISTRY.get((kind, name))
    if spec is None:
        _load_installed()
        spec = _REGISTRY.get((kind, name))
    return spec if isinstance(spec, kind) else None


def part(kind: type[_Spec], name: str) -> _Spec:
    """The part of that kind and name. Raises UserError for an unknown one."""
    if (spec := find(kind, name)) is not None:
        return spec
    raise UserError(f"unknown {kind.noun} {shown(name)}; known {kind.noun}s: {', '.join(names(kind))}")


def names(kind: type[PartSpec]) -> tuple[str, ...]:
    """The names of all parts of a kind, those of installed packages included."""
    _load_installed()
    return tuple(name for known, name in _REGISTRY if known is kind)


@cache
def _load_installed() -> None:
    """Let installed packages register their parts."""
    from importlib.metadata import entry_points  # half of what this module would take to load

    for group, noun in _GROUPS.items():
        for entry in entry_points(group=group):
            try:
                entry.load()
            # Whatever a foreign package may raise.
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
                raise UserError(
                    f"the installed {noun} {entry.name!r} ({entry.value}) fails: {reason}"
                ) from None
