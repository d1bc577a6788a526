"""The house keeps its shape: small files, names that stand once, torch only where it belongs.

Which part may import which other is in `pyproject.toml`, checked by import-linter.
"""

import ast
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

import nas

PACKAGE = Path(nas.__file__).parent
MOST_LINES = 350


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
