"""Parallel convolutions that are summed become one: in which cases, and that nothing else changes."""

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from block_samples import block_space
from torch import Tensor, nn

from nas.graph import Tracer, to_onnx
from nas.graph.constants import ConstantFolder
from nas.graph.onnx import network_values
from nas.layers import ElasticBatchNorm2d
from nas.models import PoseNet, calibrate
from nas.space import Arch, ArchManager, SearchSpace

Function = Callable[[Tensor], Tensor]


def values(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) / 3


def norm(x: Tensor, seed: int = 5) -> Tensor:
    weight, bias, mean = (values(x.shape[1], seed=seed + number) for number in range(3))
    return F.batch_norm(x, mean, values(x.shape[1], seed=seed).abs() + 0.5, weight, bias, eps=1e-3)


def conv(x: Tensor, *kernel: int, seed: int = 1, bias: bool = False, **settings: Any) -> Tensor:
    weight = values(6, 6 // settings.get("groups", 1), *kernel, seed=seed)
    return F.conv2d(x, weight, values(6, seed=seed + 9) if bias else None, **settings)


MERGED: dict[str, Function] = {
    "RepVGG": lambda x: norm(conv(x, 3, 3, padding=1)) + norm(conv(x, 1, 1), 6) + norm(x, 7),
    "the small first": lambda x: norm(conv(x, 1, 1)) + norm(conv(x, 3, 3, padding=1), 6),
    "stride": lambda x: norm(conv(x, 3, 3, padding=1, stride=2)) + norm(conv(x, 1, 1, stride=2), 6),
    "biases": lambda x: conv(x, 5, 5, padding=2, bias=True) + norm(conv(x, 3, 3, padding=1, bias=True)),
    "depthwise": lambda x: conv(x, 5, 5, padding=2, groups=6) + conv(x, 1, 1, groups=6, seed=2) + x,
    "groups": lambda x: conv(x, 3, 3, padding=1, groups=2) + norm(x),
    "dilation": lambda x: conv(x, 3, 3, padding=2, dilation=2) + conv(x, 1, 1) + x,
    "equal windows": lambda x: conv(x, 3, 3, padding=1) + conv(x, 3, 3, seed=2, padding=1),
    "sides": lambda x: conv(x, 3, 5, padding=(1, 2)) + conv(x, 1, 3, padding=(0, 1)),
    "two norms in a row": lambda x: norm(norm(conv(x, 3, 3, padding=1)), 6) + norm(norm(x, 7), 8),
    "the input twice": lambda x: conv(x, 3, 3, padding=1) + x + x,
    "no padding": lambda x: conv(x, 3, 3) + conv(x, 3, 3, seed=2),
}
APART: dict[str, Function] = {
    "another stride": lambda x: conv(x, 3, 3, padding=1, stride=2) + conv(x[:, :, :5, :7], 1, 1),
    "another input": lambda x: conv(x, 3, 3, padding=1) + conv(x.relu(), 1, 1),
    "other groups": lambda x: conv(x, 3, 3, padding=1) + conv(x, 3, 3, padding=1, groups=6),
    "another dilation": lambda x: conv(x, 3, 3, padding=1) + conv(x, 3, 3, padding=2, dilation=2),
    "between the cells": lambda x: conv(x, 2, 2, padding=1, dilation=2) + x,
    "beyond the window": lambda x: conv(x, 1, 5, padding=(0, 2)) + conv(x, 3, 1, padding=(1, 0)),
    "used elsewhere": lambda x: (lambda y: norm(y) + conv(x, 1, 1) + y.relu())(conv(x, 3, 3, padding=1)),
    "after an activation": lambda x: conv(x, 3, 3, padding=1).relu() + conv(x, 1, 1).relu(),
    "weights that are not known": lambda x: (
        F.conv2d(x, x[:, :, :3, :3].reshape(1, 6, 3, 3).repeat(6, 1, 1, 1), padding=1) + conv(x, 1, 1)
    ),
    "broadcast": lambda x: conv(x, 3, 3, padding=1) + conv(x, 9, 13, padding=0),
    "no sum": lambda x: conv(x, 3, 3, padding=1) - conv(x, 1, 1),
    "a residual": lambda x: x + norm(conv(norm(conv(x, 1, 1)).relu(), 3, 3, padding=1)),
}
IMAGE = (1, 6, 9, 13)


@pytest.mark.parametrize("name", [*MERGED, *APART])
def test_convolutions_are_merged_where_that_is_exact(name, trace_function, run_onnx) -> None:
    function = MERGED.get(name) or APART[name]
    x = values(*IMAGE, seed=3) * 3
    graph = trace_function(function, IMAGE)
    kinds = Counter(operator.kind for operator in graph.operators)
    before = Counter(operator.kind for operator in graph.trained.operators)
    assert (kinds["conv"] < before["conv"] or kinds["add"] < before["add"]) == (name in MERGED)
    found = run_onnx(to_onnx(graph, nn.Identity()), x)["out0"]
    np.testing.assert_allclose(found, function(x).numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["RepVGG", "stride", "biases", "depthwise", "dilation", "two norms in a row"]
)
def test_one_convolution_is_left_and_counted(name, trace_function) -> None:
    graph = trace_function(MERGED[name], IMAGE)
    (only,) = graph.operators
    largest = max(graph.trained.operators, key=lambda operator: operator.macs)
    assert (only.kind, only.macs, only.attributes) == ("conv", largest.macs, largest.attributes)
    assert graph.macs == largest.macs


def test_what_is_merged_and_what_is_not_are_summed(trace_function, run_onnx) -> None:
    def function(x: Tensor) -> tuple[Tensor, Tensor]:
        y = x.relu()
        large, small = (
            conv(x, 3, 3, padding=1) + conv(y, 3, 3, padding=1),
            conv(y, 1, 1) + norm(conv(x, 1, 1)),
        )
        total = large + y.exp() + small
        return total, total.exp()

    x = values(*IMAGE, seed=3)
    graph = trace_function(function, IMAGE)
    kinds = Counter(operator.kind for operator in graph.operators)
    assert (kinds["conv"], kinds["add"]) == (2, 2)
    found = run_onnx(to_onnx(graph, nn.Identity()), x)
    for position, expected in enumerate(function(x)):
        np.testing.assert_allclose(found[f"out{position}"], expected.numpy(), rtol=1e-4, atol=1e-5)


def rep_space() -> SearchSpace:
    return block_space("rep", activation=["relu", "silu"])


def archs() -> list[Arch]:
    manager, rng = ArchManager(rep_space()), np.random.default_rng(0)
    return [manager.smallest(), manager.largest(), *(manager.sample(rng) for _ in range(4))]


def test_a_rep_block_is_one_convolution_and_one_activation() -> None:
    tracer, anonymous = (Tracer(rep_space(), "coco17", anonymous=value) for value in (False, True))
    for arch in archs():
        graph = tracer(arch)
        assert [o.kind for o in anonymous(arch).operators] == [o.kind for o in graph.operators]
        operators = [o for o in graph.operators if o.scope.startswith("stages")]
        assert [o.kind for o in operators] == [
            kind for stage in arch.stages for _ in stage.blocks for kind in ("conv", stage.activation)
        ]


def test_macs_are_those_of_merged_convolutions_and_parameters_those_of_branches() -> None:
    tracer = Tracer(rep_space(), "coco17")
    for arch in archs():
        graph = tracer(arch)
        widths = [arch.stem.width, *(stage.width for stage in arch.stages for _ in stage.blocks)]
        strides = [4] * arch.stages[0].depth + [8] * arch.stages[1].depth
        cells = [arch.resolution[0] * arch.resolution[1] // stride**2 for stride in strides]
        products = [a * b * c for (a, b), c in zip(pairwise(widths), cells, strict=True)]
        macs = sum(o.macs for o in graph.operators if o.scope.startswith("stages"))
        assert macs == 9 * sum(products)
        assert graph.trained.macs - graph.macs == sum(products)
        with torch.device("meta"):
            assert graph.params == sum(p.numel() for p in PoseNet(arch, "coco17").parameters())


def test_published_size_of_repvgg() -> None:
    """A0 has 9.11 million parameters in training, 8.30 million and 1.4 G MACs merged (Ding et al.)."""
    stem, stages, classes = 48, ((48, 2), (96, 4), (192, 14), (1280, 1)), 1000
    choices = {"type": "rep", "activation": "relu", "stride": 2}
    data = rep_space().to_json() | {
        "resolution": 224,
        "stem": {"type": "conv", "width": stem, "activation": "relu"},
        "stages": [{**choices, "width": width, "depth": depth} for width, depth in stages],
        "necks": {"none": {}},
        "heads": {"regression": {}},
    }
    space = SearchSpace.from_json(data)
    graph = Tracer(space, "coco17")(ArchManager(space).largest())
    convolutions = [o for o in graph.operators if o.scope.startswith("stages") and o.kind == "conv"]
    others = (1280 + 1) * classes
    merged = sum(constant.numel() for o in convolutions for constant in o.constants)
    assert abs(merged + (9 * 3 + 1) * stem + others - 8.30e6) < 0.01e6
    macs = sum(o.macs for o in convolutions) + 112**2 * 9 * 3 * stem + 1280 * classes
    assert abs(macs - 1.4e9) < 0.05e9
    with torch.device("meta"):
        trained = sum(p.numel() for p in PoseNet(space, "coco17").stages.parameters())
    assert abs(trained + ((9 + 1) * 3 + 4) * stem + others - 9.11e6) < 0.005e6


def test_exported_rep_blocks_compute_what_torch_does(calibrated_net, run_onnx) -> None:
    for arch in archs():
        net, x = calibrated_net(arch), values(1, 3, *arch.resolution)
        model = to_onnx(Tracer.of(net)(arch), net, raw=True)
        found = run_onnx(model, x)
        with torch.no_grad():
            for name, expected in net(x).items():
                scale = float(expected.abs().max())
                np.testing.assert_allclose(found[f"raw.{name}"], expected, rtol=0, atol=1e-4 * scale)


def test_merging_is_exact_in_float64() -> None:
    """Of a supernet: sliced weights, statistics of one architecture."""
    space = rep_space()
    arch = ArchManager(space).sample(np.random.default_rng(3))
    torch.manual_seed(0)
    net = PoseNet(space, "coco17").double().eval()
    for module in net.modules():
        if isinstance(module, ElasticBatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    images = torch.randn(2, 3, *arch.resolution, dtype=torch.float64)
    stats = calibrate(net, arch, [images])
    seen: list[tuple[Tensor, Tensor]] = []
    for stage in net.stages:
        for block in stage.types["rep"]:
            block.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output)))
    with torch.no_grad():
        net(images, arch, stats)

    graph = Tracer.of(net)(arch)
    evaluate = ConstantFolder(network_values(net, stats))
    convolutions = [o for o in graph.operators if o.kind == "conv" and o.scope.startswith("stages")]
    assert len(convolutions) == len(seen)
    activations = [stage.activation for stage in arch.stages for _ in stage.blocks]
    for operator, (x, expected), activation in zip(convolutions, seen, activations, strict=True):
        weight, bias = (evaluate(constant) for constant in operator.constants)
        found = getattr(F, activation)(F.conv2d(x, weight, bias, operator.attributes["strides"], padding=1))
        assert float((found - expected).abs().max()) <= 1e-10 * float(expected.abs().max())
