"""Networks that were timed beside those of a fit: how a predictor does on them."""

from dataclasses import dataclass

from nas.latency.predictor import LatencyPredictor
from nas.latency.samples import Samples
from nas.latency.uncertainty import load_allowance
from nas.space.arch import Arch
from nas.timing.table import LatencyTable
from nas.timing.timing import Timing


@dataclass(frozen=True)
class PredictorCheck:
    """What was predicted for a network that was timed, with a 90 % interval."""

    name: str
    measured_ms: float
    predicted_ms: float
    low_ms: float
    high_ms: float
    loaded: bool

    @property
    def error(self) -> float:
        """Predicted over measured, minus one."""
        return self.predicted_ms / self.measured_ms - 1


def check_predictor(predictor: LatencyPredictor, table: LatencyTable) -> list[PredictorCheck]:
    """How a predictor does on the networks that a table was given to check it on.

    The interval of one that was timed under load is the wider for it.
    """
    samples = Samples.of(table, skeleton=predictor.skeleton.name, precision=predictor.precision)
    return [_check(predictor, timing) for timing in samples.checks]


def _check(predictor: LatencyPredictor, timing: Timing) -> PredictorCheck:
    arch = Arch.from_json(timing.description["arch"])
    ((low, high),) = predictor.interval_ms([arch]).tolist()
    factor = 1 + load_allowance([timing])
    return PredictorCheck(
        timing.name,
        timing.measured_ms,
        predictor.predict_ms(arch),
        low_ms=low / factor,
        high_ms=high * factor,
        loaded=timing.loaded,
    )
