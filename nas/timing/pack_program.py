"""The one-file program of a pack: this package's own measuring modules as a zipapp.

Nothing is written a second time: the archive holds folders and files of this package as they are.
"""

import io
import zipfile
from pathlib import Path

# Timing itself, the codecs whose grouping is timed and what they are made with, and the ground floor.
_CONTENT = (
    *("timing", "codecs", "space", "__init__"),
    *("arrays", "digests", "documents", "errors", "files", "interrupt", "lazy", "outputs", "progress"),
    "telemetry",
)
_PACKAGE = Path(__file__).resolve().parents[1]
# The oldest date that a zip file knows: equal sources give equal bytes.
_DATE = (1980, 1, 1, 0, 0, 0)
_MAIN = '''"""Times the networks of the folder that this program lies in. See README.md."""

import os
import sys

if sys.version_info < (3, 11):
    sys.exit("Python 3.11 or newer is needed; this is %d.%d." % sys.version_info[:2])

import nas  # before onnxruntime: keeps it quiet

for package in ("numpy", "onnxruntime"):
    try:
        __import__(package)
    except ImportError as error:
        sys.exit("%s cannot be used here (%s). README.md tells how to install it." % (package, error))

from pathlib import Path

from nas.timing.on_device import main

sys.exit(main(Path(os.path.abspath(sys.argv[0])).parent))
'''


def build_program() -> bytes:
    """The program as the bytes of a zip archive that Python runs."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {"__main__.py": _MAIN, **_sources()}.items():
            entry = zipfile.ZipInfo(name, _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, text)
    return content.getvalue()


def _sources() -> dict[str, str]:
    """Path in the archive -> source."""
    paths = (path for name in _CONTENT for path in _PACKAGE.glob(f"{name}.py"))
    folders = (path for name in _CONTENT for path in sorted((_PACKAGE / name).rglob("*.py")))
    return {
        path.relative_to(_PACKAGE.parent).as_posix(): path.read_text(encoding="utf-8")
        for path in (*paths, *folders)
    }
