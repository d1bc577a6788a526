"""What the site holds beside the pages of this folder, and what it must not hold.

Pages and pictures elsewhere in the repository become part of it, the notebooks become pages, and links that
leave this folder, which are right in the repository, are made right in the site. mkdocs calls the functions
by their names.
"""

import json
import re
from os.path import normpath, relpath
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
DOCS = "docs"
OUTSIDE = ("CHANGELOG.md", "CONTRIBUTING.md", "results/**/*.md", "results/**/*.png", "results/**/*.jpg")

_LINK = re.compile(r"\]\(([^)\s#:]+)(#[^)\s]*)?\)")
_FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_LOADED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"?(?:https?:)?//|<link\b[^>]*\bhref=\"?(?:https?:)?//"
)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Every page of results has its place in the navigation."""
    pages = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("results/*/README.md"))
    config.nav.append({"Results": pages})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what lies outside of this folder, and a page for each notebook."""
    for pattern in OUTSIDE:
        for path in sorted(ROOT.glob(pattern)):
            uri = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, uri, abs_src_path=str(path)))
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        page = as_page(json.loads(file.content_string), PurePosixPath(file.src_uri).name)
        files.append(File.generated(config, with_suffix(file.src_uri, ".md"), content=page))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links from where the page lies in the repository become links from where it lies in the site."""
    uri = page.file.src_uri
    elsewhere = (ROOT / uri).exists() and not (ROOT / DOCS / uri).exists()
    place = PurePosixPath(uri if elsewhere else f"{DOCS}/{uri}").parent

    def linked(match: re.Match[str]) -> str:
        target = normpath(place / match[1])
        if not (ROOT / target).exists():
            return match[0]  # not a file's name, or a mistake that mkdocs will name
        if (ROOT / target).is_dir():
            target += "/README.md"
        target = with_suffix(target, ".md") if target.endswith(".ipynb") else target
        seen = relpath(target.removeprefix(f"{DOCS}/"), PurePosixPath(uri).parent)
        return f"]({seen}{match[2] or ''})"

    parts, end = [], 0
    for code in _FENCE.finditer(markdown):
        parts += [_LINK.sub(linked, markdown[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, _LINK.sub(linked, markdown[end:])])


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Raises PluginError where a page would load something from the network."""
    if found := _LOADED.search(output):
        raise PluginError(f"{page.file.src_uri}: the page would ask the network: {found[0]}")
    return output


def as_page(notebook: dict[str, Any], name: str) -> str:
    """The cells of a notebook as Markdown, behind a line that gives the file itself."""
    texts = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        texts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    title, *others = texts
    return (
        "\n\n".join([title, f'The notebook of this page: <a href="{name}" download>{name}</a>.', *others])
        + "\n"
    )


def with_suffix(uri: str, suffix: str) -> str:
    """The same path with another suffix."""
    return str(PurePosixPath(uri).with_suffix(suffix))
