"""Where and with what a command runs, for the record."""

import platform
import sys
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from nas.data.threads import cores
from nas.timing import describe_device

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
        "processor": describe_device().cpu,
        "cores": cores(),
        "packages": {name: version for name in _PACKAGES if (version := _version(name)) is not None},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
