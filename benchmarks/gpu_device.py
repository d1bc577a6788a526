"""What a device is doing: seconds, memory, utilisation. Of a CPU seconds alone."""

import shutil
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch

from nas.arrays import Floats

WARM_UPS = 3
"""Rounds that do not count."""

GIB = 2**30


class Utilisation:
    """What nvidia-smi says while it is entered, about twice a second."""

    def __init__(self, device: str) -> None:
        self._command = shutil.which("nvidia-smi") if device == "cuda" else None
        self._samples: list[float] = []
        self._fault = "" if self._command else "no nvidia-smi here" if device == "cuda" else "not of a CPU"
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def figures(self) -> dict[str, Any]:
        if not self._samples:
            return {"utilisation_percent": None, "utilisation_left_out": self._fault}
        return {
            "utilisation_percent": statistics.mean(self._samples),
            "utilisation_samples": len(self._samples),
        }

    def _watch(self) -> None:
        while self._command and not self._fault:
            try:
                self._samples.append(float(nvidia_smi(self._command, "utilization.gpu")))
            except (OSError, ValueError, subprocess.SubprocessError) as error:
                self._fault = f"nvidia-smi: {line_of(error)}"
            if self._done.wait(0.5):
                return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()


def nvidia_smi(command: str, query: str) -> str:
    """What it says of the GPU that torch has first."""
    uuid = str(torch.cuda.get_device_properties(0).uuid)
    which = ["-i", uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"]
    asked = [command, f"--query-gpu={query}", "--format=csv,noheader,nounits", *which]
    return subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True).stdout.strip()


def in_turn(actions: Sequence[Callable[[], object]], rounds: int, device: str) -> list[Floats]:
    """Seconds [rounds] of each action, after some rounds that warm up."""
    rng = np.random.default_rng(0)
    seconds = np.zeros((rounds + WARM_UPS, len(actions)))
    for row in seconds:
        for number in rng.permutation(len(actions)):
            wait_for(device)
            started = time.perf_counter()
            actions[number]()
            wait_for(device)
            row[number] = time.perf_counter() - started
    return list(seconds[WARM_UPS:].T)


@contextmanager
def without_tf32() -> Iterator[None]:
    """Within, fp32 is fp32: by default cuDNN rounds what convolutions take to TF32's 10 bits."""
    parts: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    former = [part.allow_tf32 for part in parts]
    for part in parts:
        part.allow_tf32 = False
    try:
        yield
    finally:
        for part, allowed in zip(parts, former, strict=True):
            part.allow_tf32 = allowed


def wait_for(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def allocated(device: str) -> int:
    if device != "cuda":
        return 0
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def peak(device: str) -> int:
    return torch.cuda.max_memory_allocated() if device == "cuda" else 0


def line_of(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0] or type(error).__name__


def describe_gpu() -> dict[str, Any]:
    """The first GPU."""
    properties = torch.cuda.get_device_properties(0)
    command = shutil.which("nvidia-smi")
    try:
        driver = nvidia_smi(command, "driver_version") if command else "unknown"
    except (OSError, subprocess.SubprocessError):
        driver = "unknown"
    return {
        "name": properties.name,
        "memory_gib": properties.total_memory / GIB,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "driver": driver,
    }
