"""A self-contained HTML page: no scripts, nothing from outside, pictures inlined."""

import base64
from collections.abc import Iterable, Sequence
from html import escape

_STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 62rem; background: #fff; color: #1c1c1c;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .6rem; padding-bottom: .25rem; border-bottom: 1px solid #ddd; }
p { margin: .5rem 0; max-width: 48rem; }
.note, figcaption { color: #555; font-size: .88rem; }
.missing { color: #8a4b00; background: #fff6e8; border-left: 3px solid #e0a040; padding: .4rem .8rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .8rem 0; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .7rem; border-bottom: 1px solid #e6e6e6; text-align: right; vertical-align: top;
  white-space: nowrap; }
th { border-bottom: 2px solid #bbb; white-space: normal; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
td:last-child { white-space: normal; min-width: 3.5rem; }
table.facts { table-layout: fixed; width: 100%; }
table.facts th { width: 9rem; text-align: left; border-bottom: 1px solid #e6e6e6; font-weight: 600;
  vertical-align: top; }
table.facts td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
figure { margin: 1rem 0; }
img { max-width: min(100%, 46rem); height: auto; display: block; }
@media print { body { padding: 0; } h2 { break-after: avoid; } figure, tr { break-inside: avoid; } }
"""


def page(title: str, subtitle: str, sections: Iterable[tuple[str, str]]) -> str:
    """A document of (heading, HTML) sections."""
    body = "\n".join(
        f"<section>\n<h2>{escape(name)}</h2>\n{content}\n</section>" for name, content in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f'<h1>{escape(title)}</h1>\n<p class="note">{escape(subtitle)}</p>\n{body}\n</body>\n</html>\n'
    )


def paragraph(text: str, *, note: bool = False) -> str:
    """Plain text as a paragraph."""
    return f'<p class="note">{escape(text)}</p>' if note else f"<p>{escape(text)}</p>"


def missing(text: str) -> str:
    """Says what is not there, and how it would come about."""
    return f'<p class="missing">Missing: {escape(text)}</p>'


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Figures in rows; the first column holds names."""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{escape(cell(value))}</td>" for value in row) + "</tr>" for row in rows
    )
    content = f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>"
    return f'<div class="wide"><table>\n{content}\n</table></div>'


def facts(rows: Iterable[tuple[str, object]]) -> str:
    """Names and what they stand for."""
    body = "\n".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(cell(value))}</td></tr>' for name, value in rows
    )
    return f'<table class="facts">\n<tbody>\n{body}\n</tbody>\n</table>'


def picture(png: bytes, *, alt: str, caption: str = "") -> str:
    """A PNG inside the page."""
    data = base64.b64encode(png).decode("ascii")
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure><img alt="{escape(alt)}" src="data:image/png;base64,{data}">{below}</figure>'


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
