"""The house keeps its shape: no circles, small files, names that stand once, torch only where it belongs.

Which part may import which other is in `pyproject.toml`, checked by import-linter.
"""

import ast
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

import nas

PACKAGE = Path(nas.__file__).parent
DOCS = PACKAGE.parent / "docs"
MOST_LINES = 350


def test_no_import_leads_back_to_where_it_came_from() -> None:
    """Imports in functions and for type checkers count too: they hide a circle, they do not undo it."""
    graph = grimp.build_graph("nas", cache_dir=None)
    imported = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        TopologicalSorter(imported).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


def test_files_are_short_enough_to_be_held_in_mind() -> None:
    lines = {path: path.read_text().count("\n") for path in PACKAGE.rglob("*.py")}
    assert {str(path): count for path, count in lines.items() if count > MOST_LINES} == {}


def test_a_class_name_stands_once() -> None:
    homes = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                homes[node.name].append(path.relative_to(PACKAGE).as_posix())
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}


@pytest.mark.parametrize("part", ["space", "codecs", "coco", "timing", "runtime"])
def test_what_goes_to_devices_imports_no_torch(part: str) -> None:
    modules = [
        path.relative_to(PACKAGE.parent).with_suffix("").as_posix().replace("/", ".")
        for path in sorted((PACKAGE / part).rglob("*.py"))
        if path.name != "__init__.py"
    ]
    # One by one would start Python a hundred times; torch stays away from all of them.
    code = f"import importlib, sys; [importlib.import_module(name) for name in {modules}]"
    code += "; assert not {'torch', 'lightning_fabric', 'optuna'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_spaces_ask_for_installed_parts_when_one_is_named_and_not_before() -> None:
    code = """
from importlib import metadata
original = metadata.entry_points
def watched(**given):
    assert not given["group"].startswith("nas"), "installed parts are looked for"
    return original(**given)
metadata.entry_points = watched
import nas.space
nas.space.SearchSpace.load("demo")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_page_of_the_house_names_what_there_is() -> None:
    """Files that it sends readers to, and the layers that its picture was drawn from."""
    page = (DOCS / "architecture.md").read_text()
    named = set(re.findall(r"`((?:nas|docs|tests|benchmarks)/[\w/.-]+)`", page))
    assert len(named) > 40
    assert {path for path in named if not (PACKAGE.parent / path).exists()} == set()
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    (names,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    drawn = re.findall(r'font-weight="bold">(\w+)<', (DOCS / "layers.svg").read_text())
    assert drawn == [part for layer in names for part in layer.split(" | ")]
