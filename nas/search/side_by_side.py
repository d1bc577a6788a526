"""Timing finalists side by side, the person detector and networks of the latency table among them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from nas.latency import EndToEnd
from nas.search.drift import Drift, References
from nas.search.measurement import Measurement
from nas.search.measuring import Bench, paid_ms
from nas.space import Arch
from nas.timing import Network, Timing
from nas.timing.timing import noise_floor

_log = logging.getLogger(__name__)


class FinalistTimer:
    """Times finalists, each once or twice; what a former search has timed is not timed again.

    Args:
        bench: times networks here.
        references: tell how the machine has drifted since the latency table was measured.
        pays: what is paid besides a network.
        detector: of people, timed too: its time of the same minutes counts.
        former: by arch id, the timings of a former search for the same.
    """

    def __init__(
        self,
        bench: Bench,
        references: References,
        *,
        pays: EndToEnd,
        detector: Network | None = None,
        former: Mapping[str, Sequence[Measurement]] | None = None,
    ) -> None:
        self._bench = bench
        self._references = references
        self._pays = pays
        self._detector = detector
        self._former = former or {}

    def __call__(self, archs: Sequence[Arch]) -> dict[str, Measurement]:
        """The first timing of each, by arch id; visits go into the latency table where it is refined."""
        if known := self._known(archs, 0):
            _log.info("finalists measured before are not timed again; remove the results to time them anew")
            return known
        # What the table holds is as of then: it has not drifted.
        fresh = {arch.id for arch in self._bench.unmeasured(archs)}
        timings, pays, drift = self._time(archs, archs)
        sizes = self._bench.footprints(archs)
        noise = noise_floor(timings) or 0.0
        return {
            arch.id: Measurement.of(
                arch, timing, pays, size=size, noise=noise, drift=drift if arch.id in fresh else None
            )
            for arch, timing, size in zip(archs, timings, sizes, strict=True)
        }

    def again(self, archs: Sequence[Arch]) -> dict[str, Measurement]:
        """The second timing of each, in visits of their own that no table keeps."""
        if known := self._known(archs, 1):
            return known
        timings, pays, drift = self._time(archs, [])
        noise = noise_floor(timings) or 0.0
        return {
            arch.id: Measurement.of(arch, timing, pays, noise=noise, drift=drift)
            for arch, timing in zip(archs, timings, strict=True)
        }

    def _known(self, archs: Sequence[Arch], number: int) -> dict[str, Measurement] | None:
        """The former timings of that number; None where one is missing."""
        known = {arch.id: self._former.get(arch.id, ())[number : number + 1] for arch in archs}
        return {key: found[0] for key, found in known.items()} if all(known.values()) else None

    def _time(
        self, archs: Sequence[Arch], kept: Sequence[Arch]
    ) -> tuple[list[Timing], EndToEnd, Drift | None]:
        """Timings of `archs`, those `kept` in the table; what is paid besides; the drift meanwhile."""
        own = [] if kept else [self._bench.network(arch) for arch in archs]
        detector = [self._detector] if self._detector else []
        references = self._references.besides(archs)
        timings = self._bench(kept, alongside=[*own, *detector, *(network for network, _ in references)])
        of_detector = timings[len(archs) : len(archs) + len(detector)]
        drift = Drift.of(timings[len(archs) + len(detector) :], [timing for _, timing in references])
        pays = self._pays
        if of_detector:
            slower = drift.correction if drift else 1.0
            pays = replace(pays, detector_ms=paid_ms(of_detector[0]) / slower)
        return timings[: len(archs)], pays, drift
