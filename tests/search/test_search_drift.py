"""Drift of the machine: told by networks of the latency table, corrected where it is more than noise."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from nas.graph import Tracer
from nas.latency import EndToEnd, LatencyPredictor, arch_network
from nas.search.drift import REFERENCES, Drift, References
from nas.search.measurement import Measurement
from nas.search.measuring import Bench
from nas.search.results import drift_remarks
from nas.search.side_by_side import FinalistTimer
from nas.space import Arch, ArchManager, SearchSpace, Skeleton
from nas.timing import LatencyTable, Network, Protocol, Timing, Visit, describe_device
from nas.timing.memory import MeasuredFootprint
from nas.timing.profile import OperatorTime

PROTOCOL = Protocol(visits=2)


def visit(ms: float, *, loaded: bool = False) -> Visit:
    return Visit(
        operators=(OperatorTime("op", "Conv", 0.97 * ms),),
        wall_ms=(ms,),
        cpu_ms=(ms,),
        outside_ms=0.1 * ms,
        date="2030-01-01T00:00:00+00:00",
        loaded=loaded,
    )


def timing(*times: float, key: str = "n", loaded: bool = False) -> Timing:
    return Timing(key, key, {}, tuple(visit(ms, loaded=loaded) for ms in times))


@pytest.mark.parametrize(
    ("now", "correction"),
    [
        ([1.05, 2.11, 4.19, 8.41], 1.051),  # five percent longer, all of them
        ([0.95, 1.91, 3.79, 7.61], 0.951),
        ([1.05, 1.91, 4.19, 7.61], 1.0),  # up and down: noise
        ([1.0, 2.0, 4.0, 8.0], 1.0),
    ],
)
def test_times_are_corrected_by_what_all_networks_tell(now: Sequence[float], correction: float) -> None:
    drift = Drift.of([timing(ms) for ms in now], [timing(ms) for ms in (1.0, 2.0, 4.0, 8.0)])
    assert drift is not None
    assert drift.low <= drift.ratio <= drift.high
    assert drift.correction == pytest.approx(correction, abs=0.003)


def test_load_is_no_drift() -> None:
    table = [timing(ms) for ms in (1.0, 2.0, 4.0, 8.0)]
    now = [timing(1.0), timing(2.6, loaded=True), timing(5.2, loaded=True), timing(8.0)]
    assert Drift.of(now, table) is None


@pytest.fixture
def archs(space: SearchSpace) -> list[Arch]:
    rng = np.random.default_rng(0)
    return list({ArchManager(space).sample(rng): None for _ in range(30)})[:14]


@pytest.fixture
def bench(space: SearchSpace) -> Bench:
    return Bench(space, Tracer(space, Skeleton.load("coco17")), threads=1, protocol=PROTOCOL)


@pytest.fixture
def table(archs: Sequence[Arch], bench: Bench, tmp_path: Path) -> Path:
    """Twelve networks of 1 .. 12 ms, and one that was measured only after the predictor was fitted."""
    path = tmp_path / "table.jsonl"
    device = describe_device(threads=1)
    with LatencyTable.open(path, device=device, protocol=PROTOCOL, channel_block=16) as rows:
        for ms, arch in enumerate(archs[:13], start=1):
            rows.add(arch_network(arch, bench.tracer), visit(float(ms)))
    return path


def predictor(**changes: Any) -> LatencyPredictor:
    values = {
        "remark": None, "precision": "fp32", "skeleton": Skeleton.load("coco17"), "protocol": PROTOCOL,
        "device": describe_device(threads=1), "validation": SimpleNamespace(networks=12),
    }  # fmt: skip
    return cast(LatencyPredictor, SimpleNamespace(**{**values, **changes}))


def test_references_are_networks_of_the_table_all_over_its_times(
    archs: list[Arch], bench: Bench, table: Path
) -> None:
    references = References(table, predictor(), bench)
    pairs = references.besides([archs[0], archs[11]])
    times = [known.measured_ms for _, known in pairs]
    assert len(pairs) == REFERENCES
    assert times == sorted(times)
    assert (times[0], times[-1]) == (2.0, 11.0)
    assert [network.key for network, _ in pairs] == [known.key for _, known in pairs]


def test_where_the_table_cannot_tell_there_are_no_references(
    archs: list[Arch], bench: Bench, table: Path
) -> None:
    other = replace(describe_device(threads=1), cpu="Another CPU")
    for unusable in (predictor(remark="fitted under another runtime"), predictor(device=other)):
        assert References(table, unusable, bench).besides([]) == []
    assert References(None, predictor(), bench).besides([]) == []
    narrow = replace(bench, space=SearchSpace.of(archs[3]))
    assert [known.measured_ms for _, known in References(table, predictor(), narrow).besides([])] == [4.0]


class SlowBench:
    """Times as a machine that takes `slower` times as long as when the table was measured."""

    def __init__(self, bench: Bench, true_ms: dict[str, float], slower: float) -> None:
        self.bench, self.true_ms, self.slower = bench, true_ms, slower
        self.space = bench.space
        self.known: set[Arch] = set()
        self.calls: list[tuple[list[str], list[str]]] = []

    def network(self, arch: Arch) -> Network:
        return self.bench.network(arch)

    def unmeasured(self, archs: Sequence[Arch]) -> list[Arch]:
        return [arch for arch in archs if arch not in self.known]

    def footprints(self, archs: Sequence[Arch]) -> list[MeasuredFootprint]:
        return [MeasuredFootprint(1000, None) for _ in archs]

    def __call__(self, archs: Sequence[Arch], *, alongside: Sequence[Network] = ()) -> list[Timing]:
        self.calls.append(([arch.id for arch in archs], [network.key for network in alongside]))
        old = {self.network(arch).key for arch in archs if arch in self.known}
        networks = [*(self.network(arch) for arch in archs), *alongside]
        return [
            timing(*[self.true_ms[n.key] * (1.0 if n.key in old else self.slower)] * 2, key=n.key)
            for n in networks
        ]


def timer_of(
    archs: list[Arch], bench: Bench, table: Path, slower: float, **options: Any
) -> tuple[FinalistTimer, SlowBench]:
    true_ms = {bench.network(arch).key: float(ms) for ms, arch in enumerate(archs, start=1)} | {"d": 20.0}
    slow = SlowBench(bench, true_ms, slower)
    references = References(table, predictor(), bench)
    return FinalistTimer(cast(Bench, slow), references, pays=EndToEnd(), **options), slow


def test_finalists_take_what_they_took_when_the_table_was_measured(
    archs: list[Arch], bench: Bench, table: Path
) -> None:
    detector = Network("d", "detector", bytes)
    timer, slow = timer_of(archs, bench, table, 1.1, detector=detector)
    slow.known = {archs[13]}
    found = timer([archs[12], archs[13]])
    assert slow.calls[0][0] == [archs[12].id, archs[13].id]
    assert slow.calls[0][1][0] == "d"
    assert len(slow.calls[0][1]) == 1 + REFERENCES
    for arch, ms in ((archs[12], 13.0), (archs[13], 14.0)):
        measured = found[arch.id]
        assert measured.network_ms == pytest.approx(ms)
        assert measured.grouping_ms == pytest.approx(0.1 * ms)
        assert measured.detector_ms == pytest.approx(22.0)
        assert measured.ms == pytest.approx(22.0 + 1.1 * ms)
        assert measured.file_bytes == 1000
    assert found[archs[12].id].drift == pytest.approx(1.1)
    assert found[archs[12].id].corrected
    # That one's time is the table's, from before.
    assert found[archs[13].id].drift is None

    again = timer.again([archs[12]])
    assert slow.calls[1][0] == []
    assert slow.calls[1][1][:2] == [bench.network(archs[12]).key, "d"]
    assert again[archs[12].id].network_ms == pytest.approx(13.0)


def test_what_a_former_search_timed_is_not_timed_again(archs: list[Arch], bench: Bench, table: Path) -> None:
    first = Measurement(9.0, network_ms=9.0, grouping_ms=0.0, median_ms=9.0, p95_ms=9.0, loaded=False)
    second = replace(first, ms=9.2)
    former = {archs[0].id: (first, second), archs[1].id: (first,)}
    timer, slow = timer_of(archs, bench, table, 1.0, former=former)
    assert timer(archs[:2]) == {archs[0].id: first, archs[1].id: first}
    assert timer.again(archs[:1]) == {archs[0].id: second}
    assert slow.calls == []
    timer.again(archs[:2])
    timer(archs[:3])
    assert len(slow.calls) == 2


def test_the_mean_of_two_timings_and_what_it_says_of_the_machine() -> None:
    one = Measurement(
        10.0, network_ms=8.0, grouping_ms=2.0, median_ms=9.0, p95_ms=11.0, loaded=False, file_bytes=5,
        total_p95_ms=13.0, noise=0.02, drift=1.02, corrected=False,
    )  # fmt: skip
    two = replace(one, ms=11.0, network_ms=9.0, loaded=True, file_bytes=None, drift=1.1, corrected=True)
    mean = Measurement.mean([one, two])
    assert (mean.ms, mean.network_ms, mean.grouping_ms) == (10.5, 8.5, 2.0)
    assert (mean.loaded, mean.file_bytes, mean.corrected) == (True, 5, True)
    assert Measurement.mean([replace(one, drift=None)] * 2).drift is None
    assert Measurement.from_figures(two.figures()) == two
    earlier = {
        name: value for name, value in one.figures().items() if name not in ("noise", "drift", "corrected")
    }
    assert Measurement.from_figures(earlier) == replace(one, noise=0.0, drift=None)
    entry = {**mean.figures(), "timings": [one.figures(), two.figures()]}
    assert drift_remarks([entry, one.figures(), earlier]) == [
        "Networks of the latency table took 1.020 times what the table says: within its noise, so times are "
        "as measured.",
        "Networks of the latency table took 1.100 times what the table says: times are divided by that.",
    ]
