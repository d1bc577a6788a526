"""The mirror of onnxruntime: its kernels are those that onnxruntime runs."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from block_samples import ALL_TYPES, block_space
from latency_samples import BLOCK
from pyramids import pyramids
from torch import Tensor, nn

from nas.graph import Graph, Tracer, to_onnx
from nas.latency.kernel_part import PlacedKernel
from nas.latency.kernels import REORDER_IN, REORDER_OUT, Kernel
from nas.latency.mirror import KernelMirror
from nas.layers import Context
from nas.space import Arch, ArchManager, SearchSpace, Skeleton
from nas.space.fields import ACTIVATIONS
from nas.timing.channel_block import detect_channel_block
from nas.timing.profile import OperatorTime, parse_profile
from nas.timing.session import open_session, random_feed

OWN_SPACES = Path(__file__).parents[1] / "spaces"
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
    manager = ArchManager(space)
    rng = np.random.default_rng(1)
    return [manager.smallest(), manager.largest(), *(manager.sample(rng) for _ in range(count))]


def _compared(graph: Graph, folder: Path) -> tuple[list[Kernel], list[Kernel]]:
    """The mirror's kernels that onnxruntime runs, and those that it does not; it runs no others."""
    placed = KernelMirror(detect_channel_block())(graph)
    profile = _profile(graph, folder)
    own = [found for found in placed if found.kernel.kind not in _REORDERS]
    seen = {int(match[1]) for op in profile if (match := re.search(r"edge_(\d+)", op.name))}
    assert seen <= {edge for found in own for edge in found.edges}
    assert _reorders_of(profile) == Counter(_reorder_name(f.kernel) for f in placed if f not in own)
    run = [found.kernel for found in own if seen.intersection(found.edges)]
    missing = [found.kernel for found in own if not seen.intersection(found.edges)]
    return run, missing


@pytest.mark.parametrize(
    "name",
    [
        *("demo", "person-crop", "litepose", "litepose-published", "rtmpose", "movenet", "regression"),
        *(str(OWN_SPACES / "cspnext.yaml"), "pyramids"),
    ],
)
def test_the_kernels_are_those_that_onnxruntime_runs(name: str, tmp_path: Path) -> None:
    space = pyramids() if name == "pyramids" else SearchSpace.load(name)
    _assert_kernels_run(space, 8, tmp_path)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("block_type", ALL_TYPES)
def test_the_kernels_of_every_block_type_are(block_type: str, activation: str, tmp_path: Path) -> None:
    _assert_kernels_run(block_space(block_type, activation=activation), 3, tmp_path)


def _assert_kernels_run(space: SearchSpace, count: int, folder: Path) -> None:
    tracer = Tracer(space, "coco17")
    for arch in _archs(space, count):
        _, missing = _compared(tracer(arch), folder)
        assert {kernel.kind for kernel in missing} <= _OPTIMISED_AWAY


def _attentive() -> SearchSpace:
    """The demo's bodies under the head with products of two values."""
    data = SearchSpace.load("demo").to_json()
    choices = {"neck": ["none", "fusion_deconv"], "options": {"hidden": [64, 128]}}
    return SearchSpace.from_json({**data, "name": "attentive", "heads": {"rtmcc": choices}})


def test_every_kernel_of_attention_is_one_that_onnxruntime_runs(tmp_path: Path) -> None:
    """None is optimised away that the mirror has, none is run that it has not."""
    space = _attentive()
    tracer = Tracer(space, "coco17")
    for arch in _archs(space, 4):
        run, missing = _compared(tracer(arch), tmp_path)
        assert not missing
        joints, hidden = 17, int(arch.head.option("hidden"))
        products = [kernel.macs for kernel in run if kernel.kind == "matmul"]
        assert products == [joints**2 * 128, joints**2 * 2 * hidden]


class _Turning(nn.Module):
    """Products that read what other modules turned: the second result is needed as it is, too."""

    def __init__(self, arch: Arch, skeleton: Skeleton) -> None:
        super().__init__()
        self.arch, self.skeleton = arch, skeleton
        self.turns = nn.ModuleList([_Turn(torch.tanh), _Turn(torch.sigmoid)])

    def in_context(self, images: Tensor, arch: Arch, context: Context) -> dict[str, Tensor]:
        rows = images.flatten(2)
        first, second = (turn(rows) for turn in self.turns)
        return {"first": rows @ first, "second": rows @ second, "turned": second}

    def decode(self, outputs: dict[str, Tensor], arch: Arch) -> dict[str, Tensor]:
        return dict(outputs)


class _Turn(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, rows: Tensor) -> Tensor:
        return self.function(self.function(rows)).exp().sqrt().transpose(1, 2)


def test_a_transpose_that_only_a_product_reads_is_no_kernel(tmp_path: Path) -> None:
    arch = ArchManager(SearchSpace.load("demo")).smallest()
    graph = Tracer.of(_Turning(arch, Skeleton.load("coco17")))(arch)
    run, missing = _compared(graph, tmp_path)
    kinds = Counter(kernel.kind for kernel in run)
    assert (kinds["transpose"], kinds["matmul"]) == (1, 2)
    assert {kernel.kind for kernel in missing} <= _OPTIMISED_AWAY


def _kernels(space: SearchSpace) -> list[PlacedKernel]:
    return KernelMirror(BLOCK)(Tracer(space, "coco17")(ArchManager(space).largest()))


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
    graph = Tracer(space, "coco17")(ArchManager(space).sample(np.random.default_rng(3)))
    assert sum(placed.kernel.macs for placed in KernelMirror(1)(graph)) == graph.macs
    assert sum(placed.kernel.macs for placed in KernelMirror(BLOCK)(graph)) > graph.macs


def test_without_blocks_nothing_is_reordered() -> None:
    space = SearchSpace.load("litepose")
    graph = Tracer(space, "coco17")(ArchManager(space).smallest())
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


@pytest.mark.parametrize(
    "space",
    [
        SearchSpace.load("person-crop"),
        pytest.param(SearchSpace.load("litepose"), marks=pytest.mark.slow),
        _attentive(),
    ],
    ids=lambda space: space.name,
)
def test_what_is_remembered_of_other_networks_changes_nothing(space: SearchSpace) -> None:
    mirror = KernelMirror(BLOCK)
    warm = Tracer(space, "coco17")
    archs = _archs(space, 25)
    remembered = [mirror(warm(arch)) for arch in archs]
    for arch, placed in zip(archs, remembered, strict=True):
        assert mirror(Tracer(arch, "coco17")(arch)) == placed
        assert mirror(warm(arch)) == placed
        assert mirror.kernels(warm(arch)) == [found.kernel for found in placed]
