"""Networks of every block type: size and cost, ONNX, sorted channels."""

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
import torch
from block_samples import ALL_TYPES, block_space
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nas.graph import Tracer, complexity, export_onnx, sort_channels
from nas.layers import ElasticBatchNorm2d
from nas.models import PoseNet, calibrate
from nas.space import Arch, ArchManager, SearchSpace
from nas.space.fields import ACTIVATIONS

MIXTURES = [*((name,) for name in ALL_TYPES), ALL_TYPES, ALL_TYPES[::-1]]


@pytest.mark.parametrize("types", MIXTURES, ids="-".join)
def test_size_and_cost_equal_those_of_the_plain_network(types, calibrated_net) -> None:
    space = block_space(*types)
    rng = np.random.default_rng(0)
    tracer = Tracer(space, "coco17")
    for _ in range(8):
        arch = ArchManager(space).sample(rng, resolution=space.resolutions[0])
        graph, net = tracer(arch), calibrated_net(arch)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            net(torch.zeros(1, 3, *arch.resolution))
        assert graph.params == sum(parameter.numel() for parameter in net.parameters())
        assert graph.trained.macs == counter.get_total_flops() // 2
        assert graph.macs <= graph.trained.macs


def test_shuffle_units_cost_what_their_paper_says() -> None:
    """A unit of width w: per cell two 1x1 of (w/2)^2 and one depthwise on w/2 (Ma et al. 2018, figure 3c)."""
    manager = ArchManager(block_space("shuffle", width=32, kernel=5))
    one, two = (
        manager.decode(manager.encode(manager.largest()) | {"stages.0.depth": depth}) for depth in (0, 1)
    )
    cells = one.resolution[0] * one.resolution[1] // 16
    extra = complexity(two, "coco17").macs - complexity(one, "coco17").macs
    assert extra == cells * (2 * 16 * 16 + 25 * 16)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("block_type", ALL_TYPES)
def test_exported_models_compute_what_torch_does(block_type, activation, tmp_path, calibrated_net) -> None:
    """The export compares with torch by itself, and raises where they differ."""
    space = block_space(block_type, activation=activation)
    manager = ArchManager(space)
    for arch in (manager.largest(resolution=space.resolutions[0]), manager.sample(np.random.default_rng(2))):
        export_onnx(calibrated_net(arch), tmp_path / "net.onnx")


def _largest_of_every_kind(space: SearchSpace) -> Iterator[Arch]:
    """The largest network with every mixture of types and options that its stages have."""
    indices = {dimension.name: len(dimension.choices) - 1 for dimension in space.dimensions}
    kinds = [
        dimension
        for dimension in space.dimensions
        if dimension.name.startswith("stages.") and isinstance(dimension.choices[0], str | bool)
    ]
    for choice in product(*(range(len(dimension.choices)) for dimension in kinds)):
        named = zip((dimension.name for dimension in kinds), choice, strict=True)
        yield ArchManager(space).decode(indices | dict(named) | {"resolution": 0})


def _random_net(space: SearchSpace) -> PoseNet:
    torch.manual_seed(0)
    net = PoseNet(space, "coco17").eval().double()
    for module in net.modules():
        if isinstance(module, ElasticBatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    return net


def _scored(net: PoseNet, arch: Arch) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 3, *arch.resolution, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        return torch.cat([value.flatten() for value in net(x, arch, calibrate(net, arch, [x])).values()])


@pytest.mark.parametrize(
    "types",
    [pytest.param(types, marks=[pytest.mark.slow] * (len(types) > 1)) for types in MIXTURES],
    ids=["-".join(types) for types in MIXTURES],
)
@pytest.mark.parametrize("option_on_last", [True, False])
def test_sorting_channels_changes_no_largest_network(types, option_on_last) -> None:
    data = block_space(*types).spec.to_json()
    for stage in data["stages"]:
        for name, choices in stage.get("options", {}).items():
            stage["options"][name] = choices if option_on_last else choices[::-1]
    space = SearchSpace.from_json({"version": 1, **data})
    net = _random_net(space)
    archs = list(dict.fromkeys(_largest_of_every_kind(space)))
    before = [_scored(net, arch) for arch in archs]

    orders = sort_channels(net)

    assert any(not torch.equal(order, torch.arange(len(order))) for order in orders.values())
    for arch, expected in zip(archs, before, strict=True):
        bound = 1e-9 * expected.abs().max().item()
        torch.testing.assert_close(_scored(net, arch), expected, rtol=0, atol=bound)


def test_hidden_channels_of_shuffle_units_are_sorted_and_what_is_dealt_out_is_not() -> None:
    net = _random_net(block_space("shuffle"))
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    sort_channels(net)
    moved = {name for name, value in net.state_dict().items() if not torch.equal(value, weights[name])}
    unit = "stages.1.types.shuffle.1"
    assert {f"{unit}.reduce.weight", f"{unit}.reduce_norm.weight", f"{unit}.branch.depthwise.weight"} <= moved
    assert f"{unit}.branch.project_norm.weight" not in moved
    importance = net.stages[1].types["shuffle"][1].branch.project.weight.abs().sum(dim=(0, 2, 3))
    assert torch.all(importance[:-1] >= importance[1:] - 1e-9)
