"""A made-up machine, measured once for all latency tests."""

from pathlib import Path

import numpy as np
import pytest
from latency_samples import BLOCK, DEVICE, true_visit

from nas.graph import Tracer
from nas.latency.networks import arch_network
from nas.space import ArchManager, SearchSpace
from nas.timing.protocol import Protocol
from nas.timing.table import LatencyTable, Source


@pytest.fixture(scope="session")
def space() -> SearchSpace:
    return SearchSpace.load("demo")


@pytest.fixture(scope="session")
def tracer(space: SearchSpace) -> Tracer:
    return Tracer(space, "coco17")


@pytest.fixture(scope="session")
def made_up_table(space: SearchSpace, tracer: Tracer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of the made-up machine."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("latency") / "table.jsonl"
    with LatencyTable.open(path, device=DEVICE, protocol=Protocol(), channel_block=BLOCK) as table:
        table.add_source(Source(space.to_json(), tracer.skeleton.to_json()))
        for arch in {ArchManager(space).sample(rng) for _ in range(60)}:
            table.add(arch_network(arch, tracer), true_visit(tracer(arch)))
    return path
