"""How long the stages of finding poses take."""

import time
from array import array
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

PERCENTILES = {"median": 50.0, "p90": 90.0, "p99": 99.0}


class StageTimes:
    """Milliseconds that each stage of one frame took; a stage that is entered again adds up."""

    def __init__(self) -> None:
        self.ms: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Within, time counts for the stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.ms[stage] = self.ms.get(stage, 0.0) + (time.perf_counter() - start) * 1e3


class StagePercentiles:
    """What stages took over many frames."""

    def __init__(self) -> None:
        self._ms: dict[str, array[float]] = {}

    def add(self, ms: Mapping[str, float]) -> None:
        """Count a frame; of stages that it did not go through it says nothing."""
        for stage, taken in ms.items():
            self._ms.setdefault(stage, array("f")).append(taken)

    def table(self) -> dict[str, dict[str, float]]:
        """By stage, in the order of their first coming, how many frames went through it, and milliseconds."""
        return {
            stage: {"frames": len(taken)}
            | {
                name: float(value)
                for name, value in zip(
                    PERCENTILES, np.percentile(taken, list(PERCENTILES.values())), strict=True
                )
            }
            for stage, taken in self._ms.items()
        }
