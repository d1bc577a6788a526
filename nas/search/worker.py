"""Who works on something: a process, of which others want to know whether it still does."""

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from nas.files import lives


@dataclass(frozen=True)
class Worker:
    """A process.

    Args:
        host: its machine's name, for people.
        pid: its number there.
        system: which running system, and which part of it, the number belongs to; empty where no one tells.
        started: when it was started, in the system's ticks: numbers are used again.
    """

    host: str
    pid: int
    system: str = ""
    started: int = 0

    @classmethod
    def this(cls) -> Self:
        """The process that asks."""
        pid = os.getpid()
        return cls(socket.gethostname(), pid, _system(), _started(pid))

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    @property
    def is_gone(self) -> bool:
        """Whether it has ended for sure, however that was; False where that cannot be told from here."""
        if not self.system or self.system != _system():
            return False
        return not lives(self.pid) or _started(self.pid) not in (self.started, _UNKNOWN)


_UNKNOWN = 0
_ENDED = -1


@cache
def _system() -> str:
    """Of Linux: one start of the machine, and the container within it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _started(pid: int) -> int:
    try:
        # After the name in brackets, which may hold anything: the state, and as the 20th field the start.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return _UNKNOWN
    return _ENDED if fields[0] in ("Z", "X") else int(fields[19])
