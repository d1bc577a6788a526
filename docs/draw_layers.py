"""Draws docs/layers.svg from the import layers in pyproject.toml: `python docs/draw_layers.py`.

Each part says what it is by the first line of its own docstring.
"""

import ast
import tomllib
from html import escape
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PICTURE = Path(__file__).with_name("layers.svg")
WIDTH, ROW, GAP, NAME = 960, 23, 7, 104
HEAVY, LIGHT = "#dbe7f6", "#dff1dd"


def layers() -> list[list[str]]:
    """From the top: the parts of each layer, which may import those below and not each other."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (names,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [layer.split(" | ") for layer in names]


def purpose(part: str) -> str:
    """The first line of a part's docstring, without its name in front."""
    module = ROOT / "nas" / part / "__init__.py"
    text = (module if module.is_file() else module.parent.with_suffix(".py")).read_text()
    first = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    head, colon, rest = first.partition(": ")
    text = (rest if colon and " " not in head else first).replace("`", "")
    return text[:1].upper() + text[1:]


def draw() -> str:
    """The picture as SVG."""
    graph = grimp.build_graph("nas", include_external_packages=True, cache_dir=None)
    rows, y = [], 44
    for layer in layers():
        height = ROW * len(layer)
        rows.append(f'<rect x="34" y="{y}" width="{WIDTH - 44}" height="{height}" rx="5" fill="#f4f4f2"/>')
        for place, part in enumerate(layer):
            top = y + ROW * place
            base = top + 16
            heavy = graph.chain_exists(importer=f"nas.{part}", imported="torch", as_packages=True)
            fill = HEAVY if heavy else LIGHT
            rows.append(
                f'<rect x="36" y="{top + 2}" width="{NAME}" height="{ROW - 4}" rx="4" fill="{fill}"/>'
                f'<text x="{36 + NAME / 2}" y="{base}" text-anchor="middle" font-weight="bold">{part}</text>'
                f'<text x="{NAME + 50}" y="{base}">{escape(purpose(part), quote=False)}</text>'
            )
        y += height + GAP
    legend = "".join(
        f'<rect x="{x}" y="14" width="14" height="14" rx="3" fill="{fill}"/>'
        f'<text x="{x + 20}" y="26">{text}</text>'
        for x, fill, text in ((36, HEAVY, "needs torch"), (146, LIGHT, "does not"))
    )
    arrow = (
        f'<path d="M18 44 V{y - 18}" stroke="#777" stroke-width="1.5"/>'
        f'<path d="M13 {y - 20} L18 {y - 10} L23 {y - 20} Z" fill="#777"/>'
        '<text x="230" y="26" fill="#555">imports lead downwards only, never between parts of one row</text>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" '
        'font-family="DejaVu Sans, Verdana, sans-serif" font-size="12">\n'
        f'<rect width="{WIDTH}" height="{y}" fill="white"/>\n'
        + "\n".join([legend, arrow, *rows])
        + "\n</svg>\n"
    )


if __name__ == "__main__":
    PICTURE.write_text(draw())
