"""What this process may use of the machine."""

import os


def cores() -> int:
    """As many as it may run on at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
