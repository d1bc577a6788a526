"""A Python that knows numpy and onnxruntime and nothing else that is installed here."""

import os
import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path


def bare_python(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Command and environment of an interpreter whose site-packages (made in `folder`) hold only these two.

    Site packages are switched off; links to the files of numpy, onnxruntime and what they require are all
    that can be imported besides the standard library.
    """
    folder.mkdir()
    for name in _with_requirements({"numpy", "onnxruntime"}):
        for top, source in _tops(name).items():
            if not (folder / top).exists():
                (folder / top).symlink_to(source)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return [sys.executable, "-S", "-s"], {**environment, "PYTHONPATH": str(folder)}


def _with_requirements(names: set[str]) -> set[str]:
    known: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        try:
            required = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        known.add(name)
        plain = {re.split(r"[^\w.-]", line)[0] for line in required if "extra ==" not in line}
        waiting |= plain - known
    return known


def _tops(name: str) -> dict[str, Path]:
    """The folders and files that a distribution puts into site-packages."""
    found = distribution(name)
    tops = {file.parts[0] for file in found.files or [] if file.parts[0] not in ("..", "__pycache__")}
    return {top: Path(str(found.locate_file(top))).resolve() for top in tops}
