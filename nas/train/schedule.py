"""Learning-rate schedule as a pure function of the step: nothing to save, nothing to restore."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up, a flat part, then a cosine (RTMPose, Jiang et al. 2023).

    Args:
        steps: length of the whole training.
        warmup: steps until the full rate is reached.
        flat: share of the steps after warm-up that keep the full rate.
        final: share of the full rate at the last step.
    """

    steps: int
    warmup: int
    flat: float
    final: float

    def factor(self, step: int) -> float:
        """The share of the full learning rate at `step` (0-based)."""
        warmup = min(self.warmup, self.steps)
        if step < warmup:
            return (step + 1) / warmup
        start = warmup + round(self.flat * (self.steps - warmup))
        if step < start:
            return 1.0
        progress = min(1.0, (step - start + 1) / max(1, self.steps - start))
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * progress))
