"""Predicted milliseconds of architectures, end to end, by one predictor."""

from collections.abc import Sequence
from functools import cache

import numpy as np

from nas.arrays import Floats
from nas.latency import EndToEnd, LatencyPredictor
from nas.latency.networks import ArchTracer
from nas.search.values import Interval
from nas.space import Arch

_REMEMBERED = 10_000


class Estimate:
    """What one predictor says of architectures; as a function it is a `Cost`.

    Args:
        predictor: of network and grouping.
        tracer: of the search space, or of several, with the predictor's skeleton.
        end_to_end: what a user pays besides.
        source: digest of the predictor's file.
    """

    def __init__(
        self, predictor: LatencyPredictor, tracer: ArchTracer, *, end_to_end: EndToEnd, source: str = ""
    ) -> None:
        self.predictor = predictor
        self.end_to_end = end_to_end
        self.source = source
        self._tracer = tracer
        self._totals: dict[Arch, float] = {}
        self._network = cache(self._predict_network)

    def __call__(self, arch: Arch) -> float:
        """Predicted ms, decode, grouping, people and detector included."""
        return float(self.many([arch])[0])

    def many(self, archs: Sequence[Arch]) -> Floats:
        """The same [N] of several, asked at once for those that are new; a `BatchCost`."""
        new = [arch for arch in dict.fromkeys(archs) if arch not in self._totals]
        if new:
            pays = self.end_to_end
            totals = self.predictor.total_ms(
                new, people=pays.people, detector_ms=pays.detector_ms, tracer=self._tracer
            )
            self._totals.update(zip(new, totals.tolist(), strict=True))
        # What was asked about last stands last; only so much is remembered, since candidates are many.
        for arch in archs:
            self._totals[arch] = self._totals.pop(arch)
        found = np.array([self._totals[arch] for arch in archs], float)
        while len(self._totals) > _REMEMBERED:
            del self._totals[next(iter(self._totals))]
        return found

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

    def _predict_network(self, arch: Arch) -> Interval:
        predicted = self.predictor.predict_ms(arch, tracer=self._tracer)
        ((low, high),) = self.predictor.interval_ms([arch], coverage=0.9, tracer=self._tracer).tolist()
        return Interval(predicted, low, high)
