"""Sorting channels: the largest networks stay the same, narrow ones keep what matters."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from nas.graph import sort_channels
from nas.layers import ElasticBatchNorm2d
from nas.models import PoseNet, calibrate
from nas.space import ArchManager, SearchSpace

OWN_SPACES = Path(__file__).parents[1] / "spaces"


def random_net(space: SearchSpace) -> PoseNet:
    torch.manual_seed(0)
    net = PoseNet(space, "coco17").eval()
    for module in net.modules():
        if isinstance(module, ElasticBatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    return net


def largest_of_all_kinds(space: SearchSpace):
    manager = ArchManager(space)
    last = {dimension.name: len(dimension.choices) - 1 for dimension in space.dimensions}
    for head in space.heads:
        indices = last | manager.encode(manager.largest(head=head, resolution=space.resolutions[0]))
        upsamplers = [d for d in space.dimensions if d.name.endswith("upsampler")]
        for choices in product(*(range(len(dimension.choices)) for dimension in upsamplers)):
            names = (dimension.name for dimension in upsamplers)
            yield manager.decode(indices | dict(zip(names, choices, strict=True)))


def scored(net: PoseNet, arch):
    x = torch.randn(2, 3, *arch.resolution, generator=torch.Generator().manual_seed(1))
    x = x.to(next(net.parameters()).dtype)
    with torch.no_grad():
        return net(x, arch, calibrate(net, arch, [x]))


@pytest.mark.parametrize(
    "name",
    [
        *("demo", "person-crop", str(OWN_SPACES / "cspnext.yaml")),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("litepose-published", "openpose-lite")),
    ],
)
def test_largest_networks_of_every_kind_are_unchanged(name) -> None:
    space = SearchSpace.load(name)
    net = random_net(space).double()
    archs = list(largest_of_all_kinds(space))
    before = [scored(net, arch) for arch in archs]
    weights = {key: value.clone() for key, value in net.state_dict().items()}

    sort_channels(net)

    for arch, expected in zip(archs, before, strict=True):
        for key, value in scored(net, arch).items():
            scale = expected[key].abs().max().item()
            torch.testing.assert_close(value, expected[key], rtol=0, atol=1e-9 * scale)
    moved = {key for key, value in net.state_dict().items() if not torch.equal(value, weights[key])}
    for part in ("expand.weight", "depthwise.weight", "project.weight", "expand_norm.bias"):
        assert f"stages.1.types.mbconv.1.{part}" in moved
    assert not any("transform_" in key for key in moved)


def test_hidden_channels_descend_by_what_reads_them() -> None:
    net = random_net(SearchSpace.load("demo"))
    orders = sort_channels(net)
    block = net.stages[1].types["mbconv"][1]
    importance = block.project.weight.abs().sum(dim=(0, 2, 3))
    assert torch.all(importance[:-1] >= importance[1:] - 1e-5)
    assert len(orders["stages.1.types.mbconv.1.depthwise.weight"]) == len(importance)


def test_stage_widths_move_as_one() -> None:
    net = random_net(SearchSpace.load("demo"))
    before = [block.project.weight.clone() for block in net.stages[1].types["mbconv"]]
    hidden = [block.depthwise.weight.clone() for block in net.stages[1].types["mbconv"]]
    orders = sort_channels(net)
    (width,) = {len(weight) for weight in before}
    found = []
    for block, old, depthwise in zip(net.stages[1].types["mbconv"], before, hidden, strict=True):
        moves = [
            order
            for order in orders.values()
            if len(order) == len(depthwise) and torch.equal(depthwise[order], block.depthwise.weight)
        ]
        assert len(moves) == 1
        columns = old[:, moves[0]]
        found.append(
            [next(i for i in range(width) if torch.equal(columns[i], row)) for row in block.project.weight]
        )
    assert all(order == found[0] for order in found)
    assert sorted(found[0]) == list(range(width))


def test_outputs_keep_their_order_and_sorting_twice_changes_nothing() -> None:
    net = random_net(SearchSpace.load("demo"))
    sort_channels(net)
    weights = {key: value.clone() for key, value in net.state_dict().items()}
    orders = sort_channels(net)
    for order in orders.values():
        assert torch.equal(order, torch.arange(len(order)))
    assert all(torch.equal(value, weights[key]) for key, value in net.state_dict().items())


def test_embedded_statistics_move_along(calibrated_net) -> None:
    arch = ArchManager(SearchSpace.load("demo")).smallest()
    net = calibrated_net(arch)
    x = torch.randn(1, 3, *arch.resolution)
    with torch.no_grad():
        before = net(x)
        sort_channels(net)
        after = net(x)
    for key, value in before.items():
        torch.testing.assert_close(after[key], value, rtol=0, atol=1e-4 * value.abs().max().item())


def joined_otherwise(space: SearchSpace, count: int):
    """Networks as wide as the largest, of other types, options and depths."""
    manager = ArchManager(space)
    last = {dimension.name: len(dimension.choices) - 1 for dimension in space.dimensions}
    rng = np.random.default_rng(0)
    kinds = [d for d in space.dimensions if isinstance(d.choices[0], str | bool) or d.name.endswith("depth")]
    for head in space.heads:
        largest = last | manager.encode(manager.largest(head=head, resolution=space.resolutions[0]))
        for _ in range(count):
            drawn = {d.name: int(rng.integers(len(d.choices))) for d in kinds if d.name in largest}
            yield manager.decode(largest | drawn | {"head.type": largest["head.type"]})


@pytest.mark.parametrize("name", ["cspnext.yaml"])
@pytest.mark.parametrize("reverse", [False, True])
def test_networks_of_full_width_are_unchanged_whatever_their_parts(name, reverse) -> None:
    data = SearchSpace.load(OWN_SPACES / name).to_json()
    for stage in data["stages"] if reverse else ():  # then the largest has other types and options
        lists = [stage, stage.get("options", {})]
        for place in lists:
            for key, choices in place.items():
                if isinstance(choices, list) and isinstance(choices[0], str | bool):
                    place[key] = choices[::-1]
    space = SearchSpace.from_json(data)
    net = random_net(space).double()
    archs = list(joined_otherwise(space, 12))
    before = [scored(net, arch) for arch in archs]
    sort_channels(net)
    for arch, expected in zip(archs, before, strict=True):
        for key, value in scored(net, arch).items():
            bound = 1e-9 * expected[key].abs().max().item()
            torch.testing.assert_close(value, expected[key], rtol=0, atol=bound)


def test_both_halves_of_a_csp_layer_are_sorted() -> None:
    """By all that reads them: the convolution of both, the gate, and the blocks of the first half."""
    net = random_net(SearchSpace.load(OWN_SPACES / "cspnext.yaml"))
    sort_channels(net)
    layer = net.stages[0].types["cspnext"].layer

    def read(convolution: nn.Conv2d) -> torch.Tensor:
        return convolution.weight.abs().sum(dim=(0, 2, 3))

    main, short = (read(layer.join.conv) + read(layer.attention.gate)).split(layer.half_width)
    main = main + sum(read(block.expand.conv) for block in layer.blocks)
    for importance in (main, short):
        assert torch.all(importance[:-1] >= importance[1:] - 1e-4)
