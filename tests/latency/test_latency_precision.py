"""int8 as a second precision of networks to time."""

from pathlib import Path

import numpy as np
import onnx

from nas.graph import Tracer
from nas.latency import arch_network, measure_space
from nas.space import ArchManager, SearchSpace, Skeleton
from nas.timing import LatencyTable, Protocol
from nas.timing.protocol import SessionVisitor


def test_int8_is_a_network_of_its_own_and_fp32_keeps_its_key(space: SearchSpace, tracer: Tracer) -> None:
    arch = ArchManager(space).smallest()
    exact, integer = arch_network(arch, tracer), arch_network(arch, tracer, precision="int8")
    assert exact.key == f"{arch.id}-coco17"
    assert integer.key == f"{arch.id}-coco17-int8"
    assert integer.name == f"{exact.name}-int8"
    assert [dict(network.description)["precision"] for network in (exact, integer)] == ["fp32", "int8"]
    operators = [
        {node.op_type for node in onnx.load_from_string(n.model()).graph.node} for n in (exact, integer)
    ]
    assert operators[1] - operators[0] == {"QuantizeLinear", "DequantizeLinear"}


def test_one_table_holds_both_precisions(space: SearchSpace, tmp_path: Path) -> None:
    path = tmp_path / "table.jsonl"
    for precision in ("fp32", "int8"):
        measure_space(
            space,
            Skeleton.load("coco17"),
            samples=2,
            table=path,
            precision=precision,
            protocol=Protocol(visits=2, runs=2, max_foreign_load=9.0),
        )
    table = LatencyTable.read(path)
    timings = table.timings()
    assert [timing.description["precision"] for timing in timings] == ["fp32"] * 2 + ["int8"] * 2
    assert all(len(timing.visits) == 2 for timing in timings)
    archs = [timing.description["arch"] for timing in timings]
    assert archs[:2] in (archs[2:], archs[:1:-1])


def test_int8_operators_are_named_after_the_traced_operators(space: SearchSpace, tracer: Tracer) -> None:
    visit = SessionVisitor(Protocol(runs=1), threads=1, rng=np.random.default_rng(0))
    network = arch_network(ArchManager(space).smallest(head="simcc"), tracer, precision="int8")
    operators = visit(network).operators
    products = [operator for operator in operators if operator.kind in ("QLinearConv", "QGemm")]
    assert len(products) > 5
    assert all(operator.name.startswith("edge_") for operator in products)
    assert len({operator.name for operator in operators}) == len(operators)
