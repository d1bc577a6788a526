"""Pages: HTML files that need nothing beside themselves; scripts and pictures are inside."""

import base64
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def render(template: str, **values: Any) -> str:
    """The text of a page; `template` is a file of this folder. Every value is escaped."""
    return _ENVIRONMENT.get_template(template).render(values)


def macros(template: str) -> Any:
    """What a file of this folder defines, as functions that give HTML."""
    return _ENVIRONMENT.get_template(template).module


def cell(value: object) -> str:
    """A value for people: three decimals, a dash for nothing, yes and no."""
    if value is None or value != value:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


_ENVIRONMENT.filters.update(base64=_base64, cell=cell)
