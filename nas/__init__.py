"""Efficient human-pose networks, searched under real measured milliseconds.

Names load on first use: importing one part (the torch-free runtime above all) does not import the others.
"""

from typing import TYPE_CHECKING

from nas.lazy import on_first_use
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

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "nas.graph": ("complexity",),
        "nas.models": ("PoseNet", "calibrate", "transfer"),
        "nas.search.diagnosis.run": ("diagnose_run",),
        "nas.search.diagnosis.settings": ("DiagnosisSettings",),
        "nas.search.run": ("search_run",),
        "nas.search.settings": ("SearchSettings",),
        "nas.search.together": ("search_together",),
        "nas.space": ("Arch", "ArchManager", "SearchSpace", "Skeleton"),
    },
)
