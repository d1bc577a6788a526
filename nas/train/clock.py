"""How long a training takes: when a part of it ends, and where its time goes."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from nas.errors import UserError
from nas.progress import duration

Clock = Callable[[], float]
"""Seconds that only go forward."""

TIME_UP = 1 << 16
"""Stands where the number of a signal stands that asks a training to stop; no signal has it."""


class Deadline:
    """The end of a part of a training, so many hours from now.

    Args:
        hours: None for no end.
        clock: whose hours they are.

    Raises:
        UserError: hours that are none.
    """

    def __init__(self, hours: float | None, *, clock: Clock = time.monotonic) -> None:
        if hours is not None and not 0 < hours < math.inf:
            raise UserError(f"`hours`: {hours:g} is no time to train; give more than 0, such as 2 or 0.5")
        self._clock = clock
        self._end = math.inf if hours is None else clock() + 3600 * hours

    @property
    def left(self) -> float:
        """Seconds, below 0 once it has passed; infinite where there is no end."""
        return self._end - self._clock()

    @property
    def hours_left(self) -> float | None:
        """As a training takes them, which always takes one step; None where there is no end."""
        return None if math.isinf(self.left) else max(self.left, 0.001) / 3600

    def told(self, seconds: float) -> str:
        """For a line: when it comes, where that is before so many seconds have passed."""
        left = self.left
        return f", pause in {duration(max(0.0, left))}" if left < seconds else ""


class Laps:
    """Seconds since the last call, or since it was made."""

    def __init__(self, *, clock: Clock = time.perf_counter) -> None:
        self._clock = clock
        self._since = clock()

    def __call__(self) -> float:
        now, since = self._clock(), self._since
        self._since = now
        return now - since


@dataclass
class Spent:
    """Seconds that a training has taken so far, all its parts together; pauses do not count.

    Args:
        steps: waiting for data included.
        validation: calibration included.
        checkpoints: writing them.
        last_validation: of that, the newest one; 0 before the first.
    """

    steps: float = 0.0
    validation: float = 0.0
    checkpoints: float = 0.0
    last_validation: float = 0.0

    @property
    def total(self) -> float:
        return self.steps + self.validation + self.checkpoints

    @property
    def validation_share(self) -> float:
        """Of the total; 0 while there is none."""
        return self.validation / self.total if self.total else 0.0

    @property
    def overhead(self) -> float:
        """What the total is to the steps alone; 1 while nothing tells it."""
        return self.total / self.steps if self.steps else 1.0

    def figures(self) -> dict[str, float]:
        """For the metrics."""
        return {"hours": round(self.total / 3600, 4), "validation_share": round(self.validation_share, 4)}

    def told(self) -> str:
        """For a line."""
        checkpoints = self.checkpoints / self.total if self.total else 0.0
        return (
            f"{duration(self.total)} in all; validation and calibration took {self.validation_share:.1%}, "
            f"checkpoints {checkpoints:.1%}"
        )

    def add_validation(self, seconds: float) -> None:
        self.validation += seconds
        self.last_validation = seconds

    def affords_validation(self, share: float) -> bool:
        """Whether one more now, and one at the end, stay within a share of the time so far.

        What one takes is known from the last; before the first nothing says that it does not.
        """
        once = self.last_validation
        return self.validation + 2 * once <= share * (self.total + once)
