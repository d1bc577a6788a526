"""Predicted milliseconds of architectures, end to end, by one predictor."""

from functools import cache

from nas.graph import Tracer
from nas.latency import EndToEnd, LatencyPredictor
from nas.search.values import Interval
from nas.space import Arch


class Estimate:
    """What one predictor says of architectures; as a function it is a `Cost`.

    Args:
        predictor: of network and grouping.
        tracer: of the search space, with the predictor's skeleton.
        end_to_end: what a user pays besides.
        source: digest of the predictor's file.
    """

    def __init__(
        self, predictor: LatencyPredictor, tracer: Tracer, *, end_to_end: EndToEnd, source: str = ""
    ) -> None:
        self.predictor = predictor
        self.end_to_end = end_to_end
        self.source = source
        self._tracer = tracer
        self._total = cache(self._predict_total)
        self._network = cache(self._predict_network)

    def __call__(self, arch: Arch) -> float:
        """Predicted ms, decode, grouping, people and detector included."""
        return self._total(arch)

    def network_interval(self, arch: Arch) -> Interval:
        """Of the network alone, once, with decode: predicted ms and its 90 % interval."""
        return self._network(arch)

    def interval(self, arch: Arch) -> Interval:
        """Predicted ms end to end, and its 90 % interval: the network's own, as often as it is paid for."""
        total, network, times = self(arch), self._network(arch), self.end_to_end.runs(arch)
        return Interval(
            predicted_ms=total,
            low_ms=total + times * (network.low_ms - network.predicted_ms),
            high_ms=total + times * (network.high_ms - network.predicted_ms),
        )

    def with_predictor(self, predictor: LatencyPredictor, source: str) -> "Estimate":
        """The same of another predictor."""
        return Estimate(predictor, self._tracer, end_to_end=self.end_to_end, source=source)

    def _predict_total(self, arch: Arch) -> float:
        pays = self.end_to_end
        totals = self.predictor.total_ms(
            [arch], people=pays.people, detector_ms=pays.detector_ms, tracer=self._tracer
        )
        return float(totals[0])

    def _predict_network(self, arch: Arch) -> Interval:
        predicted = self.predictor.predict_ms(arch, tracer=self._tracer)
        ((low, high),) = self.predictor.interval_ms([arch], coverage=0.9, tracer=self._tracer).tolist()
        return Interval(predicted, low, high)
