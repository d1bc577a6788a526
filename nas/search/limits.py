"""Hard limits besides a budget of milliseconds: slow runs, memory, size of the file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from nas.errors import UserError
from nas.graph import Tracer
from nas.latency.footprint import footprint
from nas.search.budgets import cheapest
from nas.search.measurement import Measurement
from nas.search.values import Cost
from nas.space import Arch, SearchSpace

_UNITS = {"p95_ms": "ms in 95 % of runs", "memory_mb": "MB of memory", "file_mb": "MB of file"}

Overrun = Callable[[Arch], float]
"""By how much an architecture is over all limits together, as shares of them; 0 where it keeps them."""


def no_overrun(arch: Arch) -> float:
    """Where there are no limits."""
    return 0.0


@dataclass(frozen=True)
class Limits:
    """What no subnet may exceed; None stands for no limit.

    Args:
        p95_ms: end to end, in 95 % of runs.
        memory_mb: peak of memory that loading and running a network takes, in 10^6 bytes.
        file_mb: size of its ONNX file, in 10^6 bytes.
    """

    p95_ms: float | None = None
    memory_mb: float | None = None
    file_mb: float | None = None

    def __post_init__(self) -> None:
        for name, limit in self.by_name.items():
            if limit <= 0:
                raise UserError(f"`{name}` {limit:g}: a limit is more than 0")

    @property
    def by_name(self) -> Mapping[str, float]:
        """The limits that there are, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def keeps(self, measured: Measurement) -> bool:
        """Whether a measured network is within them; what a system does not tell is not held against it."""
        figures = {
            "p95_ms": measured.total_p95_ms,
            "memory_mb": _mega(measured.peak_memory_bytes),
            "file_mb": _mega(measured.file_bytes),
        }
        return all((figures[name] or 0.0) <= limit for name, limit in self.by_name.items())


class Requirements:
    """Limits as predictions hold them against architectures.

    Args:
        limits: what may not be exceeded.
        tracer: of the search space.
        precision: of the networks.
    """

    def __init__(self, limits: Limits, tracer: Tracer, *, precision: str) -> None:
        self.limits = limits
        self._tracer = tracer
        self._precision = precision
        self._footprint = cache(self._predict_footprint)

    def overrun(self, cost: Cost, *, p95_ratio: float) -> Overrun:
        """Of predicted times and sizes.

        Args:
            cost: predicted ms, end to end.
            p95_ratio: how much longer the slowest runs take than that: the 95th percentile over the label.
        """
        limits = self.limits.by_name
        if not limits:
            return no_overrun

        @cache
        def total(arch: Arch) -> float:
            return sum(
                max(0.0, self._predicted(arch, name, cost, p95_ratio) / limit - 1)
                for name, limit in limits.items()
            )

        return total

    def check(
        self, space: SearchSpace, cost: Cost, *, p95_ratio: float, budgets_ms: tuple[float, ...]
    ) -> None:
        """Raises UserError where no network of the space keeps a limit, or all of them and the budgets."""
        limits = self.limits.by_name
        for name, limit in limits.items():

            def figure(arch: Arch, name: str = name) -> float:
                return self._predicted(arch, name, cost, p95_ratio)

            smallest = figure(cheapest(space, figure))
            if smallest > limit:
                raise UserError(
                    f"`{name}` {limit:g}: no network of {space.name} takes less than about "
                    f"{smallest:.2f} {_UNITS[name]}, as predicted; raise the limit or choose another space"
                )
        if not limits:
            return
        overrun, budget = self.overrun(cost, p95_ratio=p95_ratio), budgets_ms[0]

        def excess(arch: Arch) -> float:
            return overrun(arch) + max(0.0, cost(arch) / budget - 1)

        if excess(cheapest(space, excess)) > 0:
            also = ", ".join(f"`{name}` {limit:g}" for name, limit in limits.items())
            raise UserError(
                f"no network of {space.name} was found that keeps `budgets_ms` {budget:g} and {also} "
                "together, as predicted; raise one of them"
            )

    def _predicted(self, arch: Arch, name: str, cost: Cost, p95_ratio: float) -> float:
        if name == "p95_ms":
            return cost(arch) * p95_ratio
        memory_mb, file_mb = self._footprint(arch)
        return memory_mb if name == "memory_mb" else file_mb

    def _predict_footprint(self, arch: Arch) -> tuple[float, float]:
        found = footprint(self._tracer(arch), precision=self._precision)
        return found.peak_memory_bytes / 1e6, found.file_bytes / 1e6


def _mega(size: int | None) -> float | None:
    return None if size is None else size / 1e6
