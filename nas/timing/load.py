"""How much of the processor others use while a network is timed."""

import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_STAT = Path("/proc/stat")
_IDLE_FIELDS = (3, 4)  # idle, iowait
_GUEST_FIELDS = 8  # guest times, from this column on, are counted in user and nice already


@dataclass(frozen=True)
class CpuReading:
    """Processor time up to one moment, in seconds.

    Args:
        wall: of a monotonic clock.
        busy: core number -> time that all processes together (and a hypervisor's theft) have used.
        own: time that this process, all its threads, has used.
    """

    wall: float
    busy: dict[int, float]
    own: float


def read_cpu(stat: Path = _STAT) -> CpuReading | None:
    """The processor's state now; None where the system does not tell it."""
    try:
        lines = stat.read_text(encoding="ascii").splitlines()
        ticks_per_second = os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError):
        # No such file (macOS, Windows), not ours to read (Android), or no such figure.
        return None
    busy = {}
    for line in lines:
        name, *fields = line.split()
        if name.startswith("cpu") and name != "cpu":
            ticks = [int(field) for field in fields[:_GUEST_FIELDS]]
            idle = sum(ticks[index] for index in _IDLE_FIELDS)
            busy[int(name[3:])] = (sum(ticks) - idle) / ticks_per_second
    if not busy:
        return None
    return CpuReading(wall=time.monotonic(), busy=busy, own=time.process_time())


class LoadGate:
    """Tells the share of the processor that other processes used around a visit.

    The share is the larger of two: of the whole machine, and of the cores that measuring is pinned to.
    /proc/stat counts in steps of 10 ms, so a share is taken over at least `window` seconds, reaching back
    before the visit where that was shorter.
    """

    def __init__(
        self,
        cores: tuple[int, ...] = (),
        *,
        window: float = 0.5,
        read: Callable[[], CpuReading | None] = read_cpu,
    ) -> None:
        self._cores = cores
        self._window = window
        self._read = read
        self._readings: deque[CpuReading] = deque()
        self.mark()

    @property
    def watching(self) -> bool:
        """Whether this system tells the load at all."""
        return bool(self._readings)

    def mark(self) -> None:
        """Note the state before a visit."""
        if (reading := self._read()) is not None:
            self._readings.append(reading)

    def foreign(self) -> float | None:
        """The others' share (0 to 1) around the visit that ends now; None where it cannot be told."""
        now = self._read()
        if now is None or not self._readings:
            return None
        # Readings older than what the window needs are of no further use.
        while len(self._readings) > 1 and now.wall - self._readings[1].wall >= self._window:
            self._readings.popleft()
        share = _foreign_share(self._readings[0], now, self._cores)
        self._readings.append(now)
        return share


def _foreign_share(before: CpuReading, after: CpuReading, cores: tuple[int, ...]) -> float:
    wall = after.wall - before.wall
    if wall <= 0:
        return 0.0
    own = after.own - before.own

    def share(counted: tuple[int, ...]) -> float:
        used = sum(after.busy[core] - before.busy.get(core, 0.0) for core in counted)
        return max(0.0, (used - own) / (wall * len(counted)))

    machine = share(tuple(after.busy))
    pinned = tuple(core for core in cores if core in after.busy)
    return max(machine, share(pinned)) if pinned else machine
