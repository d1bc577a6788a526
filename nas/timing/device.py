"""What a timing was taken on: a description whose fingerprint decides which timings may be compared."""

import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, Self

from nas.digests import json_digest
from nas.documents import Fields
from nas.timing.session import SESSION_OPTIONS, runtime_version

# The instruction sets that onnxruntime's kernels are chosen by; other flags do not change timings.
_X86_FLAGS = (
    "sse4_1 avx avx2 fma f16c avx_vnni avx512f avx512bw avx512vl avx512_vnni avx512_bf16 amx_int8 amx_bf16"
)
_ARM_FLAGS = "neon asimd asimdhp asimddp i8mm bf16 sve sve2 sme"
_RELEVANT_FLAGS = frozenset(f"{_X86_FLAGS} {_ARM_FLAGS}".split())
_CPUINFO = Path("/proc/cpuinfo")
_CPU_FOLDER = Path("/sys/devices/system/cpu")
_BOARD = Path("/proc/device-tree/model")


@dataclass(frozen=True)
class DeviceDescription:
    """Everything of machine and runtime that changes a timing; equal fingerprints may share a table.

    Args:
        cpu: model with family and stepping where the system tells them.
        instruction_set: relevant flags, sorted; empty where the system does not tell them.
        cores: logical cores of the machine.
        system: operating system and machine type, such as "Linux x86_64".
        runtime: "onnxruntime" with its version.
        session_options: see `nas.timing.session.SESSION_OPTIONS`.
        threads: intra-op and inter-op threads of the timed sessions.
    """

    cpu: str
    instruction_set: tuple[str, ...]
    cores: int
    system: str
    runtime: str
    session_options: tuple[tuple[str, str], ...]
    threads: int

    @property
    def fingerprint(self) -> str:
        """The first 12 hex digits of the SHA-256 of the canonical JSON."""
        return json_digest(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {
            **asdict(self),
            "instruction_set": list(self.instruction_set),
            "session_options": dict(self.session_options),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], place: str = "device") -> Self:
        """The inverse of `to_json`. Raises UserError `place.field: what is wrong`."""
        fields = Fields(values, place)
        options = fields.fields("session_options")
        return cls(
            cpu=fields.text("cpu"),
            instruction_set=fields.texts("instruction_set"),
            cores=fields.integer("cores", least=1),
            system=fields.text("system"),
            runtime=fields.text("runtime"),
            session_options=tuple((name, options.text(name)) for name in sorted(options.names)),
            threads=fields.integer("threads", least=1),
        )

    def __str__(self) -> str:
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        flags = " ".join(self.instruction_set) or "unknown instruction set"
        return (
            f"{self.cpu}, {flags}, {self.cores} cores, {self.system}, "
            f"{self.runtime}, {threads} (fingerprint {self.fingerprint})"
        )


class Agreement(Enum):
    """How far times of one device hold on another."""

    FULL = "full"
    """The same device: they may share a table."""
    RUNTIME = "all but the runtime's version"
    """The same machine, instruction set and session, another onnxruntime: near, but never in one table."""
    NONE = "none"
    """Another machine."""


def agreement(known: DeviceDescription, other: DeviceDescription) -> Agreement:
    """How far times that were taken on `known` hold on `other`."""
    if known.fingerprint == other.fingerprint:
        return Agreement.FULL
    if replace(known, runtime=other.runtime).fingerprint == other.fingerprint:
        return Agreement.RUNTIME
    return Agreement.NONE


def describe_device(*, threads: int = 1) -> DeviceDescription:
    """This machine, with sessions of that many threads. Imports no onnxruntime."""
    cpuinfo = _read_cpuinfo(_CPUINFO)
    return DeviceDescription(
        cpu=_cpu_model(cpuinfo),
        instruction_set=_instruction_set(cpuinfo),
        cores=os.cpu_count() or 1,
        system=f"{platform.system()} {platform.machine()}".strip(),
        runtime=f"onnxruntime {runtime_version()}",
        session_options=SESSION_OPTIONS,
        threads=threads,
    )


@dataclass(frozen=True)
class Pinning:
    """The cores that measuring is pinned to (empty: it could not be), and what stays uncontrolled."""

    cores: tuple[int, ...]
    uncontrolled: tuple[str, ...]


@contextmanager
def pinned(threads: int) -> Iterator[Pinning]:
    """Keep the calling thread, and threads it starts, on the fastest `threads` cores; undone at the end."""
    if not hasattr(os, "sched_setaffinity"):
        yield Pinning((), ("the core (this system has no core affinity)", *_clock_notes(())))
        return
    try:
        allowed = os.sched_getaffinity(0)
        cores = _fastest(allowed, threads)
        os.sched_setaffinity(0, cores)
    except OSError as error:
        yield Pinning((), (f"the core (pinning was refused: {error.strerror})", *_clock_notes(())))
        return
    try:
        yield Pinning(cores, _clock_notes(cores))
    finally:
        os.sched_setaffinity(0, allowed)


def _read_cpuinfo(path: Path) -> list[dict[str, str]]:
    """The processors of /proc/cpuinfo; no entry where the file is missing."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    processors = []
    for paragraph in text.strip().split("\n\n"):
        pairs = (line.partition(":") for line in paragraph.splitlines() if ":" in line)
        processors.append({key.strip(): value.strip() for key, _, value in pairs})
    return processors


def _cpu_model(cpuinfo: list[dict[str, str]]) -> str:
    described = sorted({model for processor in cpuinfo if (model := _processor_model(processor))})
    if described:
        # An ARM core says nothing of the chip that it is in: clock and caches differ from board to board.
        board = _text(_BOARD) if any("CPU part" in processor for processor in cpuinfo) else ""
        return ", ".join(filter(None, (board, " + ".join(described))))
    return _sysctl("machdep.cpu.brand_string") or platform.processor() or platform.machine() or "unknown CPU"


def _processor_model(processor: Mapping[str, str]) -> str:
    # Clouds name several generations alike ("AMD EPYC"): family, model and stepping tell them apart.
    if name := processor.get("model name"):
        detail = [f"{key} {processor[key]}" for key in ("model", "stepping") if key in processor]
        family = [f"family {processor['cpu family']}"] if "cpu family" in processor else []
        parts = ", ".join(family + detail)
        return f"{name} ({parts})" if parts else name
    if part := processor.get("CPU part"):
        return f"ARM implementer {processor.get('CPU implementer', '?')} part {part}"
    return ""


def _instruction_set(cpuinfo: list[dict[str, str]]) -> tuple[str, ...]:
    # On machines of unlike cores only what all of them have can be relied on.
    per_core = [
        set((processor.get("flags") or processor["Features"]).split())
        for processor in cpuinfo
        if "flags" in processor or "Features" in processor
    ]
    return tuple(sorted(set.intersection(*per_core) & _RELEVANT_FLAGS)) if per_core else ()


def _sysctl(name: str) -> str:
    """A value of macOS's (or a BSD's) sysctl; empty elsewhere."""
    try:
        found = subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip()


def _fastest(allowed: set[int], count: int) -> tuple[int, ...]:
    """The cores of highest capacity; of equal ones the last, since systems prefer the first themselves."""

    def speed(core: int) -> tuple[int, int, int]:
        folder = _CPU_FOLDER / f"cpu{core}"
        clock = _number(folder / "cpufreq" / "cpuinfo_max_freq")
        return _number(folder / "cpu_capacity"), clock, core

    return tuple(sorted(sorted(allowed, key=speed)[-count:]))


def _number(path: Path) -> int:
    text = _text(path)
    return int(text) if text.isdecimal() else 0


def _text(path: Path) -> str:
    """The content of a small file of the system; empty where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \n")
    except OSError:
        return ""


def _clock_notes(cores: tuple[int, ...]) -> tuple[str, ...]:
    governor = _text(_CPU_FOLDER / f"cpu{cores[0]}" / "cpufreq" / "scaling_governor") if cores else ""
    if not governor:
        return ("the clock frequency",)
    return () if governor == "performance" else (f"the clock frequency (governor {governor!r})",)
