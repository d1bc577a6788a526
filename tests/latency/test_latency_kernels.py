"""The mirror of onnxruntime: its kernels are those that onnxruntime runs."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from latency_samples import BLOCK

from nas.graph import Graph, Tracer, to_onnx
from nas.latency.channel_block import detect_channel_block
from nas.latency.kernels import REORDER_IN, REORDER_OUT, Kernel
from nas.latency.mirror import KernelMirror, Placed
from nas.latency.profile import OperatorTime, parse_profile
from nas.latency.session import open_session, random_feed
from nas.space import Arch, SearchSpace

# onnxruntime merges two slices of one tensor into one split, drops products with one, and so on.
_OPTIMISED_AWAY = {"slice", "mul", "reshape", "view", "flatten", "unsqueeze"}
_REORDERS = {REORDER_IN: "ReorderInput", REORDER_OUT: "ReorderOutput"}


def _profile(graph: Graph, folder: Path) -> list[OperatorTime]:
    model = to_onnx(graph).SerializeToString()
    session = open_session(model, threads=1, name="net", profile=folder / "profile")
    session.run(None, random_feed(session, np.random.default_rng(0), name="net"))
    return list(parse_profile(Path(session.end_profiling()))[0])


def _reorders_of(profile: list[OperatorTime]) -> Counter[str]:
    names = (operator.name.partition("#")[0] for operator in profile)
    return Counter(name for name in names if name.startswith("Reorder"))


def _reorder_name(kernel: Kernel) -> str:
    return f"{_REORDERS[kernel.kind]} 1x{kernel.outputs}x{kernel.height}x{kernel.width}"


def _archs(space: SearchSpace, count: int) -> list[Arch]:
    rng = np.random.default_rng(1)
    return [space.smallest(), space.largest(), *(space.sample(rng) for _ in range(count))]


@pytest.mark.parametrize("name", ["demo", "person-crop", "litepose", "litepose-published"])
def test_the_kernels_are_those_that_onnxruntime_runs(name: str, tmp_path: Path) -> None:
    space = SearchSpace.load(name)
    tracer, mirror = Tracer(space, "coco17"), KernelMirror(detect_channel_block())
    for arch in _archs(space, 8):
        graph = tracer(arch)
        placed = mirror(graph)
        profile = _profile(graph, tmp_path)
        own = [found for found in placed if found.kernel.kind not in _REORDERS]
        by_edge = {edge: found for found in own for edge in found.edges}
        seen = {int(match[1]) for op in profile if (match := re.search(r"edge_(\d+)", op.name))}
        assert seen <= by_edge.keys()
        missing = [found for found in own if not seen.intersection(found.edges)]
        assert {found.kernel.kind for found in missing} <= _OPTIMISED_AWAY
        expected = Counter(_reorder_name(found.kernel) for found in placed if found not in own)
        assert _reorders_of(profile) == expected


def _kernels(space: SearchSpace) -> list[Placed]:
    return KernelMirror(BLOCK)(Tracer(space, "coco17")(space.largest()))


def test_channels_are_paid_in_blocks() -> None:
    space = SearchSpace.load("person-crop")
    for placed in _kernels(space):
        kernel = placed.kernel
        if kernel.kind.startswith("conv."):
            assert kernel.outputs % BLOCK == 0
            assert kernel.inputs % BLOCK == 0 or kernel.inputs == 3
            assert kernel.written == 4 * kernel.outputs * kernel.height * kernel.width


def test_macs_are_those_of_the_graph_where_nothing_is_padded() -> None:
    space = SearchSpace.load("litepose")
    graph = Tracer(space, "coco17")(space.sample(np.random.default_rng(3)))
    assert sum(placed.kernel.macs for placed in KernelMirror(1)(graph)) == graph.macs
    assert sum(placed.kernel.macs for placed in KernelMirror(BLOCK)(graph)) > graph.macs


def test_without_blocks_nothing_is_reordered() -> None:
    space = SearchSpace.load("litepose")
    graph = Tracer(space, "coco17")(space.smallest())
    kinds = {placed.kernel.kind for placed in KernelMirror(1)(graph)}
    assert not kinds & _REORDERS.keys()
    assert _REORDERS.keys() <= {placed.kernel.kind for placed in KernelMirror(BLOCK)(graph)}


def test_every_edge_is_made_by_one_kernel() -> None:
    space = SearchSpace.load("litepose")
    own = [placed for placed in _kernels(space) if placed.kernel.kind not in _REORDERS]
    edges = [edge for placed in own for edge in placed.edges]
    assert len(edges) == len(set(edges))
    fused = [placed.kernel for placed in own if len(placed.edges) > 1]
    assert any(kernel.summed for kernel in fused)
    assert any(kernel.activation for kernel in fused)


@pytest.mark.parametrize("name", ["person-crop", "litepose"])
def test_what_is_remembered_of_other_networks_changes_nothing(name: str) -> None:
    space, mirror = SearchSpace.load(name), KernelMirror(BLOCK)
    warm = Tracer(space, "coco17")
    archs = _archs(space, 25)
    remembered = [mirror(warm(arch)) for arch in archs]
    for arch, placed in zip(archs, remembered, strict=True):
        assert mirror(Tracer(arch, "coco17")(arch)) == placed
        assert mirror(warm(arch)) == placed
        assert mirror.kernels(warm(arch)) == [found.kernel for found in placed]
