"""The one-file program of a pack: this package's own measuring modules as a zipapp.

Nothing is written a second time: the archive holds the modules that `nas latency measure` runs, as far as
the entry imports them. Packages' `__init__` files are left empty in it: theirs import more than a device has.
"""

import ast
import io
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

ENTRY = "nas.timing.on_device"
_QUIET = "nas.telemetry"
_ROOT = Path(__file__).resolve().parents[2]
# The oldest date that a zip file knows: equal sources give equal bytes.
_DATE = (1980, 1, 1, 0, 0, 0)
_MAIN = f'''"""Times the networks of the folder that this program lies in. See README.md."""

import os
import sys

if sys.version_info < (3, 11):
    sys.exit("Python 3.11 or newer is needed; this is %d.%d." % sys.version_info[:2])

from {_QUIET} import keep_quiet

keep_quiet()
for package in ("numpy", "onnxruntime"):
    try:
        __import__(package)
    except ImportError as error:
        sys.exit("%s cannot be used here (%s). README.md tells how to install it." % (package, error))

from pathlib import Path

from {ENTRY} import main

sys.exit(main(Path(os.path.abspath(sys.argv[0])).parent))
'''


def build_program(modules: Iterable[str] = ()) -> bytes:
    """The program as the bytes of a zip archive that Python runs.

    Args:
        modules: of this package, that the program loads by name (codecs); others are left out.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:

        def add(name: str, text: str) -> None:
            entry = zipfile.ZipInfo(name, _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, text)

        add("__main__.py", _MAIN)
        for path, text in sorted(_sources([ENTRY, _QUIET, *modules]).items()):
            add(path, text)
    return content.getvalue()


def needed_packages(modules: Iterable[str] = ()) -> tuple[str, ...]:
    """What has to be installed for the program with these modules, besides Python."""
    sources = _sources([ENTRY, *modules]).values()
    imported = {name.split(".")[0] for source in sources for name in _imports(source)}
    # onnxruntime is imported only when a session opens.
    return tuple(sorted((imported | {"onnxruntime"}) - sys.stdlib_module_names - {"nas"}))


def _sources(roots: Iterable[str]) -> dict[str, str]:
    """Path in the archive -> source, of modules and all of this package that they import when loaded."""
    sources: dict[str, str] = {}
    waiting = [name for name in roots if _is_ours(name)]
    while waiting:
        name = waiting.pop()
        path = Path(*name.split(".")).with_suffix(".py")
        if path.as_posix() in sources:
            continue
        text = (_ROOT / path).read_text(encoding="utf-8")
        sources[path.as_posix()] = text
        for folder in path.parents[:-1]:
            sources[(folder / "__init__.py").as_posix()] = ""
        waiting.extend(imported for imported in _imports(text) if _is_ours(imported))
    return sources


def _imports(source: str) -> Iterator[str]:
    """The modules that a module imports when it is loaded; not for type checkers, nor within functions."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module


def _is_ours(module: str) -> bool:
    return module.split(".")[0] == "nas"
