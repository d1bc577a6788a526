"""What a report's sections are put together from: HTML in which every text is escaped."""

from collections.abc import Callable

from nas.pages import cell, macros

__all__ = [
    "cards", "cell", "chart_of", "commands", "facts", "folded", "missing", "paragraph",
    "samples", "table",
]  # fmt: skip

_PARTS = macros("parts.html")

cards: Callable[..., str] = macros("network.html").cards
chart_of: Callable[..., str] = _PARTS.chart
commands: Callable[..., str] = _PARTS.commands
facts: Callable[..., str] = _PARTS.facts
folded: Callable[..., str] = _PARTS.folded
missing: Callable[..., str] = _PARTS.missing
paragraph: Callable[..., str] = _PARTS.paragraph
samples: Callable[..., str] = _PARTS.samples
table: Callable[..., str] = _PARTS.table
