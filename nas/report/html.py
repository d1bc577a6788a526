"""What a report's sections are put together from: HTML in which every text is escaped."""

from collections.abc import Callable

from nas.pages import cell, macros

__all__ = ["cell", "facts", "missing", "paragraph", "picture", "table"]

_PARTS = macros("parts.html")

facts: Callable[..., str] = _PARTS.facts
missing: Callable[..., str] = _PARTS.missing
paragraph: Callable[..., str] = _PARTS.paragraph
picture: Callable[..., str] = _PARTS.picture
table: Callable[..., str] = _PARTS.table
