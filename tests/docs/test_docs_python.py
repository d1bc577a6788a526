"""Python of the documentation compiles, and what it takes from the package is there."""

import ast
import builtins
import json
from importlib import import_module, util
from pathlib import Path
from types import ModuleType

import pytest
from pages_of_docs import ROOT, CodeBlock, blocks

NOTEBOOKS = sorted((ROOT / "docs").glob("*.ipynb"))
MENTIONED = [path for path in sorted((ROOT / "docs").rglob("*.md")) if path.name != "architecture.md"]


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: f"{block.page} {block.title}")
def test_a_block_compiles_and_its_imports_exist(block: CodeBlock) -> None:
    tree = ast.parse(block.text, block.page)
    imported = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.module
            module = existing(node.module)
            for alias in node.names:
                assert module is None or hasattr(module, alias.name), f"{node.module} has no {alias.name}"
        elif isinstance(node, ast.Import):
            imported |= {alias.asname or alias.name: existing(alias.name) for alias in node.names}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and imported.get(node.value.id)
        ):
            module = imported[node.value.id]
            assert hasattr(module, node.attr), f"{node.value.id} has no {node.attr}"


def existing(name: str) -> ModuleType | None:
    """The module; None of a package that a page writes itself."""
    if util.find_spec(name.partition(".")[0]) is None:
        titles = {block.title for block in blocks("python")}
        assert any(title.startswith(f"{name.partition('.')[0]}/") for title in titles), (
            f"{name} does not exist"
        )
        return None
    return import_module(name)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs_from_top_to_bottom(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = []
    names: dict[str, object] = {"print": lambda *words: said.append(" ".join(map(str, words)))}
    names["__builtins__"] = builtins
    for number, cell in enumerate(code_cells(path)):
        exec(compile(cell, f"{path.name}, cell {number}", "exec"), names)
    assert (tmp_path / "tour" / "drawn.png").stat().st_size > 10_000
    assert any("MACs" in line for line in said)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_kept_without_what_it_printed(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert cells[0]["cell_type"] == "markdown"
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in cells)


def code_cells(path: Path) -> list[str]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_the_pages_of_python_name_what_there_is() -> None:
    """mkdocs finds names that do not exist; what is public and not shown it cannot find."""
    pages = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "api").glob("*.md")}
    shown = {
        line.removeprefix("::: ")
        for page in pages.values()
        for line in page.splitlines()
        if line[:4] == "::: "
    }
    for name in shown:
        module, _, attribute = name.rpartition(".")
        assert hasattr(import_module(module), attribute), name
    for module in (
        "nas.runtime",
        "nas.heads",
        "nas.codecs",
        "nas.space",
        "nas.latency",
        "nas.evaluate",
        "nas.train",
    ):
        for name in import_module(module).__all__:
            documented = f"{module}.{name}" in shown or f"`{name}`" in "".join(pages.values())
            assert documented, f"{module}.{name} is public, and on no page of docs/api"
