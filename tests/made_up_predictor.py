"""A latency predictor that nothing was measured for."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from nas.graph import Tracer
from nas.latency import LatencyPredictor, arch_network
from nas.space import ArchManager, SearchSpace, Skeleton
from nas.timing import LatencyTable, Protocol, Visit, describe_device
from nas.timing.profile import OperatorTime
from nas.timing.table import Source

QUICK = Protocol(visits=1, warmups=1, runs=3, patience=0)
"""What is measured by a predictor of this machine takes no time."""


def made_up_predictor(
    space: SearchSpace, skeleton: Skeleton, folder: Path, *, archs: int = 12, here: bool = False
) -> Path:
    """The file of a predictor of about 1 ms per MMAC, of another machine or of this one."""
    rng = np.random.default_rng(0)
    tracer = Tracer(space, skeleton)
    device = describe_device(threads=1)
    device, protocol = (device, QUICK) if here else (replace(device, cpu="Another CPU"), Protocol())
    table_file = folder / "made-up.jsonl"
    with LatencyTable.open(table_file, device=device, protocol=protocol, channel_block=16) as table:
        table.add_source(Source(space.to_json(), skeleton.to_json()))
        for arch in dict.fromkeys(ArchManager(space).sample(rng) for _ in range(archs)):
            for _ in range(2):
                ms = tracer(arch).macs / 1e6 * rng.uniform(0.98, 1.02)
                visit = Visit(
                    (OperatorTime("op", "Conv", ms),),
                    wall_ms=(ms, ms),
                    cpu_ms=(ms,),
                    outside_ms=0.5,
                    date="2030-01-01T00:00:00+00:00",
                )
                table.add(arch_network(arch, tracer), visit)
    path = folder / "made-up-predictor.json"
    LatencyPredictor.fit(LatencyTable.read(table_file), boosted=False).save(path)
    return path
