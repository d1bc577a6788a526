"""Measures small networks into a table until it is killed; says on stdout when a visit is on disk."""

import sys
from pathlib import Path

import numpy as np
from latency_samples import DEVICE, small_network

from nas.timing.load import LoadGate
from nas.timing.protocol import Protocol, SessionVisitor, visit_interleaved
from nas.timing.table import LatencyTable

protocol = Protocol(visits=1000, warmups=1, runs=1)
rng = np.random.default_rng(0)
with LatencyTable.open(Path(sys.argv[1]), device=DEVICE, protocol=protocol, channel_block=8) as table:
    for outcome in visit_interleaved(
        [small_network(key) for key in "abc"],
        protocol=protocol,
        visitor=SessionVisitor(protocol, threads=1, rng=rng),
        gate=LoadGate(read=lambda: None),
        rng=rng,
    ):
        table.add(outcome.network, outcome.visit)
        print("visit", flush=True)
