"""What a network costs besides time, measured: the size of its file and the peak of memory."""

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from nas.documents import Fields
from nas.timing.session import open_session, random_feed

RUNS = 3
"""onnxruntime plans its memory in the first run; the second is the first under that plan."""

# The folder (or the zip archive) that this package is imported from.
_ROOT = Path(__file__).parents[2]
_PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from nas.timing.memory import print_peak
print_peak(threads=int(sys.argv[2]))
"""


@dataclass(frozen=True)
class MeasuredFootprint:
    """Size and memory of one network.

    Args:
        file_bytes: of the ONNX file.
        peak_memory_bytes: how far loading and running it raise a process's resident memory at most, from
            after onnxruntime was imported; None where the system does not tell it.
    """

    file_bytes: int
    peak_memory_bytes: int | None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"file_bytes": self.file_bytes, "peak_memory_bytes": self.peak_memory_bytes}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], place: str = "footprint") -> Self:
        """The inverse of `to_json`. Raises UserError `place.field: what is wrong`."""
        fields = Fields(values, place)
        unknown = fields.get("peak_memory_bytes") is None
        return cls(fields.integer("file_bytes"), None if unknown else fields.integer("peak_memory_bytes"))


def measure_footprint(model: bytes, *, threads: int) -> MeasuredFootprint:
    """Load and run a serialised model in a process of its own: here, freed memory would be used again."""
    command = [sys.executable, "-c", _PROGRAM, str(_ROOT), str(threads)]
    try:
        child = subprocess.run(command, input=model, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        # Some systems allow no further processes. A model that cannot run says so where it is timed.
        return MeasuredFootprint(len(model), None)
    found = child.stdout.decode().split()[-1]
    return MeasuredFootprint(len(model), None if found == "unknown" else int(found))


def print_peak(*, threads: int) -> None:
    """The child process: a model on stdin, the bytes of memory that it takes at most on stdout."""
    import onnxruntime  # noqa: F401 - its own memory is not the network's

    model = sys.stdin.buffer.read()
    before = _begin()
    session = open_session(model, threads=threads, name="model")
    feed = random_feed(session, np.random.default_rng(0), name="model")
    for _ in range(RUNS):
        session.run(None, feed)
    after = peak_memory()
    print("unknown" if before is None or after is None else after - before)


def _begin() -> int | None:
    """Resident bytes; the peak starts from here where the system lets it."""
    if sys.platform != "linux":
        return peak_memory()
    # Without the right to reset it, the peak so far, of importing, is what later peaks are told from.
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return peak_memory()


def peak_memory(pid: int | None = None) -> int | None:
    """The largest resident memory so far in bytes; None where the system does not tell.

    Args:
        pid: of another process; this one's if left out.
    """
    with suppress(OSError):
        for line in Path(f"/proc/{pid or 'self'}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if pid is not None or os.name != "posix":
        return None
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024
