"""Size and memory of networks: measured, kept in tables, predicted."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from latency_samples import BLOCK, DEVICE, small_model, small_network, visit_of

from nas.graph import Tracer, to_int8, to_onnx
from nas.latency import measure_space
from nas.latency.footprint import file_bytes, footprint, live_bytes
from nas.space import ArchManager, SearchSpace, Skeleton
from nas.timing import LatencyTable, Protocol
from nas.timing.memory import MeasuredFootprint, measure_footprint

OWN_SPACES = Path(__file__).parents[1] / "spaces"
EXPORTS = {"fp32": to_onnx, "int8": to_int8}


def test_depth_costs_weights_but_no_activations() -> None:
    """Liveness, not the sum of activations: a longer stage needs the same two buffers."""
    small = ArchManager(SearchSpace.load("person-crop")).smallest()
    stage = small.stages[3]
    longer = replace(stage, blocks=stage.blocks + 3 * stage.blocks[-1:])
    deep = replace(small, stages=(*small.stages[:3], longer))
    one, two = (Tracer(arch, "coco17")(arch) for arch in (small, deep))
    assert file_bytes(two) > 1.1 * file_bytes(one)
    assert live_bytes(two) == live_bytes(one)
    # In int8 what convolutions read and give takes a quarter; some tensors stay fp32.
    assert 1 / 4 <= live_bytes(one, precision="int8") / live_bytes(one) < 1


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("name", ["demo", "person-crop", "litepose", str(OWN_SPACES / "cspnext.yaml")])
def test_predicted_file_size_is_that_of_the_exported_model(name: str, precision: str) -> None:
    space = SearchSpace.load(name)
    manager = ArchManager(space)
    tracer = Tracer(space, "coco17")
    rng = np.random.default_rng(0)
    for arch in (manager.smallest(), manager.largest(), manager.sample(rng), manager.sample(rng)):
        graph = tracer(arch)
        exact = len(EXPORTS[precision](graph).SerializeToString())
        assert file_bytes(graph, precision=precision) == pytest.approx(exact, rel=0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="the coefficients are of Linux")
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_predicted_memory_is_near_what_is_measured(precision: str) -> None:
    space = SearchSpace.load("litepose")
    manager = ArchManager(space)
    tracer = Tracer(space, "coco17")
    for arch in (manager.smallest(), manager.largest()):
        graph = tracer(arch)
        model = EXPORTS[precision](graph).SerializeToString()
        found = measure_footprint(model, threads=1)
        assert found.file_bytes == len(model)
        assert found.peak_memory_bytes is not None
        guess = footprint(graph, precision=precision).peak_memory_bytes
        assert guess == pytest.approx(found.peak_memory_bytes, rel=0.35)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not reset the peak")
def test_measured_memory_grows_with_the_model() -> None:
    small, large = (
        measure_footprint(small_model(channels, size=256), threads=1).peak_memory_bytes
        for channels in (4, 256)
    )
    assert small is not None
    assert large is not None
    # 256 maps of 256 x 256 in fp32 are 67 MB; convolution and sigmoid hold at least one of them.
    assert large - small > 60e6


def test_a_model_that_does_not_run_has_no_memory() -> None:
    assert measure_footprint(b"no model", threads=1) == MeasuredFootprint(8, None)


def test_tables_keep_footprints_and_older_ones_have_none(tmp_path: Path) -> None:
    network, found = small_network(), MeasuredFootprint(1234, None)
    paths = tmp_path / "old.jsonl", tmp_path / "new.jsonl"
    for path in paths:
        with LatencyTable.open(path, device=DEVICE, protocol=Protocol(), channel_block=BLOCK) as table:
            table.add(network, visit_of())
            if path is paths[1]:
                table.add_footprint(network.key, found)
    old, new = (LatencyTable.read(path) for path in paths)
    assert old.footprints == {}
    assert new.footprints == {network.key: found}
    assert len(new.timings()) == len(old.timings()) == 1
    with LatencyTable.open(paths[0], device=DEVICE, protocol=Protocol(), channel_block=BLOCK) as table:
        assert table.merge(new) == 0
    assert LatencyTable.read(paths[0]).footprints == {network.key: found}


def test_measuring_a_space_measures_every_footprint_once(space: SearchSpace, tmp_path: Path) -> None:
    path = tmp_path / "table.jsonl"
    for visits in (1, 2):
        protocol = Protocol(visits=2, runs=1, max_foreign_load=9.0)
        measure_space(
            space,
            Skeleton.load("coco17"),
            samples=visits + 1,
            table=path,
            memory=True,
            seed=visits,
            protocol=protocol,
        )
    table = LatencyTable.read(path)
    assert table.footprints.keys() == table.visits.keys()
    assert path.read_text().count('"row":"footprint"') == len(table.footprints)
    tracer = Tracer(space, "coco17")
    sizes = {footprint.file_bytes for footprint in table.footprints.values()}
    assert len(to_onnx(tracer(ArchManager(space).smallest())).SerializeToString()) in sizes
