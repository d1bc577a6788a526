"""What `nas latency` shows: how far measuring is, and timings."""

from typing import TYPE_CHECKING, Self

from nas.cli.console import err, print_table, remark
from nas.progress import ProgressDisplay, duration

if TYPE_CHECKING:
    from nas.timing import Timing, VisitOutcome, VisitPlan


class VisitDisplay:
    """Shows on stderr how far measuring is: bar, rate and remaining time, and what was not quiet."""

    def __init__(self) -> None:
        self.taken = 0
        self._discarded = 0
        self._loaded = 0
        self._display = ProgressDisplay("visits", say=remark, console=err, last=False)

    def __enter__(self) -> Self:
        self._display.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._display.__exit__()
        if self._discarded:
            remark(
                f"{self._discarded} visits were discarded because other processes used the processor; "
                f"{self._loaded} were taken all the same and are flagged as loaded."
            )

    def begin(self, plan: "VisitPlan") -> None:
        """Say what is coming."""
        if plan.visits and plan.seconds is not None:
            remark(f"{plan.visits} visits, about {duration(plan.seconds)} on an idle machine")
        if plan.uncontrolled:
            remark(f"Not under control here: {', '.join(plan.uncontrolled)}.")
        self._display.begin(0, plan.visits)

    def visited(self, outcome: "VisitOutcome") -> None:
        """Count one visit."""
        self.taken += not outcome.discarded
        self._discarded += outcome.discarded
        self._loaded += outcome.visit.loaded and not outcome.discarded
        self._display.update(self.taken, note=outcome.network.name)


def print_timings(timings: "list[Timing]") -> None:
    print_table(
        None,
        ("network", "measured ms", "median", "95 %", "minimum", "CPU", "grouping", "remark"),
        (
            (
                timing.name,
                timing.measured_ms,
                timing.median_ms,
                timing.p95_ms,
                timing.minimum_ms,
                timing.cpu_ms,
                timing.outside_ms,
                "loaded" if timing.loaded else "",
            )
            for timing in timings
        ),
    )
