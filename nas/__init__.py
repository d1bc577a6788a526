"""Efficient human-pose networks, searched under real measured milliseconds.

Names load on first use: importing one part (the torch-free runtime above all) does not import the others.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nas.telemetry import keep_quiet

if TYPE_CHECKING:
    from nas.graph import complexity
    from nas.models import PoseNet, calibrate, transfer
    from nas.search.diagnosis.run import diagnose_run
    from nas.search.diagnosis.settings import DiagnosisSettings
    from nas.search.run import search_run
    from nas.search.settings import SearchSettings
    from nas.search.together import search_together
    from nas.space import Arch, ArchManager, SearchSpace, Skeleton

keep_quiet()

__version__ = "0.1.0"

__all__ = [
    "Arch",
    "ArchManager",
    "DiagnosisSettings",
    "PoseNet",
    "SearchSettings",
    "SearchSpace",
    "Skeleton",
    "__version__",
    "calibrate",
    "complexity",
    "diagnose_run",
    "search_run",
    "search_together",
    "transfer",
]

_HOMES = {
    "Arch": "nas.space",
    "ArchManager": "nas.space",
    "DiagnosisSettings": "nas.search.diagnosis.settings",
    "PoseNet": "nas.models",
    "SearchSettings": "nas.search.settings",
    "SearchSpace": "nas.space",
    "Skeleton": "nas.space",
    "calibrate": "nas.models",
    "complexity": "nas.graph",
    "diagnose_run": "nas.search.diagnosis.run",
    "search_run": "nas.search.run",
    "search_together": "nas.search.together",
    "transfer": "nas.models",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nas' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
