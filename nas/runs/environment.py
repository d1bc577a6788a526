"""Where and with what a command runs, for the record."""

import platform
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from nas.data.threads import cores

_PACKAGES = (
    "pose-nas", "torch", "lightning-fabric", "numpy", "opencv-python", "opencv-python-headless",
    "onnxruntime", "optuna", "numba",
)  # fmt: skip


def environment() -> dict[str, Any]:
    """Machine, versions, command and time, for the record."""
    return {
        "command": sys.argv,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": cores(),
        "packages": {name: version for name in _PACKAGES if (version := _version(name)) is not None},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
