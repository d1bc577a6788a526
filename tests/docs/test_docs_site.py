"""The site's navigation, as far as it can be told without building it; `make docs` builds it, strictly."""

import re

import pytest
from pages_of_docs import ROOT

DOCS = ROOT / "docs"
NOTEBOOK_PAGES = {path.with_suffix(".md").name for path in DOCS.glob("*.ipynb")}


def test_every_page_has_its_place_and_every_place_a_page() -> None:
    text = (
        (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2].partition("not_in_nav")[0]
    )
    named = re.findall(r"- ([\w/.-]+\.md)$", text, re.MULTILINE)
    assert len(named) == len(set(named))
    here = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")} | NOTEBOOK_PAGES
    assert set(named) - here == {"CHANGELOG.md", "CONTRIBUTING.md"}
    assert here <= set(named)


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")), ids=lambda path: path.name)
def test_files_that_a_page_names_exist(path) -> None:
    text = path.read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:nas|docs|tests|benchmarks|results)/[\w/.-]+\w)`", text))
    named |= set(re.findall(r"\bpython ((?:benchmarks|docs)/[\w/]+\.py)", text))
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_nothing_of_the_site_is_asked_for_on_the_network() -> None:
    """Of what is written here; docs/site_hooks.py looks at every page that is built."""
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "http" not in text
    assert re.search(r"^  font: false", text, re.MULTILINE)
    for path in (DOCS / "assets").iterdir():
        assert "http" not in path.read_text(encoding="utf-8"), path.name
