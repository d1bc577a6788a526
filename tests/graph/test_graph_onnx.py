"""ONNX of whole networks: parity, folding, metadata, arbitrary weights; torch.onnx as the oracle."""

import io
import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nas.graph import Tracer, metadata, to_onnx
from nas.graph.export import agreement
from nas.graph.fold import drop_dead
from nas.layers import Context, ElasticConv2d, StatisticsMissingError
from nas.models import PoseNet, calibrate
from nas.space import ArchManager, SearchSpace
from nas.space.arch import Arch
from nas.space.skeleton import Skeleton

CROP = SearchSpace.load("person-crop")
OWN_SPACES = Path(__file__).parents[1] / "spaces"
UPSAMPLERS = ("deconv4x4", "deconv2x2", "nearest_dw", "bilinear")


def image(arch: Arch, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, 3, *arch.resolution, generator=torch.Generator().manual_seed(seed))


def raw_of(outputs):
    return {name.removeprefix("raw."): v for name, v in outputs.items() if name.startswith("raw.")}


def networks() -> list[Arch]:
    crop = ArchManager(CROP).smallest(head="heatmap")
    archs = [replace(crop, neck=replace(crop.neck, upsampler=name)) for name in UPSAMPLERS]
    archs += [ArchManager(CROP).smallest(head="simcc"), ArchManager(SearchSpace.load("litepose")).smallest()]
    stages = tuple(
        replace(stage, activation=name)
        for stage, name in zip(crop.stages, ("relu", "silu", "hardswish", "relu6"), strict=False)
    )
    csp = SearchSpace.load(OWN_SPACES / "cspnext.yaml")
    manager = ArchManager(csp)
    return [
        *archs,
        replace(crop, stages=stages),
        manager.smallest(head="simcc"),
        manager.largest(head="simcc"),
    ]


@pytest.mark.parametrize("arch", networks(), ids=lambda arch: f"{arch.head.type}-{arch.neck.upsampler}")
def test_network_and_decode_agree_with_torch(arch, calibrated_net, run_onnx) -> None:
    net, x = calibrated_net(arch), image(arch)
    model = to_onnx(Tracer.of(net)(arch), net, raw=True)
    onnx.checker.check_model(model, full_check=True)

    outputs = run_onnx(model, x)

    with torch.no_grad():
        expected = net(x)
        decoded = net.decode({name: torch.from_numpy(value) for name, value in raw_of(outputs).items()})
    for name, value in raw_of(outputs).items():
        scale = expected[name].abs().max().item()
        np.testing.assert_allclose(value, expected[name].numpy(), rtol=0, atol=1e-4 * scale)
    assert decoded.keys() == outputs.keys() - {f"raw.{name}" for name in expected}
    for name, value in decoded.items():
        assert agreement(value.numpy(), outputs[name]) > 0.98, name
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}


def test_a_supernet_exports_what_it_computes(run_onnx) -> None:
    torch.manual_seed(0)
    net = PoseNet(CROP, "coco17").eval()
    rng = np.random.default_rng(0)
    tracer = Tracer(CROP, "coco17")
    for head in CROP.heads:
        arch = ArchManager(CROP).sample(rng, head=head, resolution=CROP.resolutions[0])
        x = image(arch)
        stats = calibrate(net, arch, [x, image(arch, 1)])
        outputs = run_onnx(to_onnx(tracer(arch), net, stats=stats, raw=True), x)
        with torch.no_grad():
            expected = net(x, arch, stats)
        for name, value in raw_of(outputs).items():
            scale = expected[name].abs().max().item()
            np.testing.assert_allclose(value, expected[name].numpy(), rtol=0, atol=1e-4 * scale)


def test_statistics_are_needed_and_must_fit() -> None:
    arch = ArchManager(CROP).smallest()
    net = PoseNet(arch, "coco17").eval()
    graph = Tracer.of(net)(arch)
    with pytest.raises(StatisticsMissingError, match="calibrate"):
        to_onnx(graph, net)
    stats = calibrate(net, arch, [image(arch)])
    with pytest.raises(ValueError, match="statistics of architecture"):
        to_onnx(graph, net, stats=replace(stats, arch_id="0" * 12))


@pytest.mark.parametrize("arch", networks()[3:6], ids=lambda arch: arch.head.type)
def test_arbitrary_weights_give_the_same_model_but_for_values(arch, calibrated_net, run_onnx) -> None:
    net = calibrated_net(arch)
    graph = Tracer.of(net)(arch)
    timed, shipped = to_onnx(graph), to_onnx(graph, net)
    assert [node.op_type for node in timed.graph.node] == [node.op_type for node in shipped.graph.node]
    assert sorted(list(tensor.dims) for tensor in timed.graph.initializer) == sorted(
        list(tensor.dims) for tensor in shipped.graph.initializer
    )
    assert all(np.isfinite(value).all() for value in run_onnx(timed, image(arch)).values())


def test_model_carries_what_a_runtime_needs(calibrated_net) -> None:
    arch = ArchManager(SearchSpace.load("demo")).smallest(head="simcc")
    graph = Tracer(arch, "coco17")(arch)
    model = to_onnx(graph)
    (given,) = model.graph.input
    assert given.name == "images"
    assert [d.dim_value for d in given.type.tensor_type.shape.dim] == [1, 3, *arch.resolution]
    assert [output.name for output in model.graph.output] == ["keypoints", "scores"]
    found = json.loads({prop.key: prop.value for prop in model.metadata_props}["nas"])
    assert found == json.loads(json.dumps(metadata(graph, arch)))
    assert Arch.from_json(found["arch"]) == arch
    assert Skeleton.from_json(found["skeleton"]) == Skeleton.load("coco17")
    assert found["version"] == 1
    assert found["mean"] == pytest.approx([0.485, 0.456, 0.406])


@pytest.mark.parametrize("arch", networks()[3:6], ids=lambda arch: arch.head.type)
def test_no_node_and_no_weight_is_left_over(arch) -> None:
    model = to_onnx(Tracer(arch, "coco17")(arch))
    read = {name for node in model.graph.node for name in node.input}
    wanted = read | {output.name for output in model.graph.output}
    assert {tensor.name for tensor in model.graph.initializer} <= read
    assert all(wanted.intersection(node.output) for node in model.graph.node)


def test_dead_operators_are_dropped(trace_function) -> None:
    def function(x):
        x.exp().sum()
        return x.relu() * 2

    graph = trace_function(function, (1, 2))
    kept = drop_dead(graph.operators, graph.outputs.values())
    assert [operator.kind for operator in kept] == ["relu", "mul"]


def norm(x: torch.Tensor, seed: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    weight, bias, mean = (torch.randn(x.shape[1], generator=generator) for _ in range(3))
    variance = torch.rand(x.shape[1], generator=generator) + 0.5
    return F.batch_norm(x, mean, variance, weight, bias, eps=1e-3)


def weights(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7)) / 3


FOLDABLE = {
    "conv": lambda x: norm(F.conv2d(x, weights(8, 6, 3, 3), weights(8), padding=1)),
    "depthwise": lambda x: norm(F.conv2d(x, weights(6, 1, 3, 3), groups=6)),
    "deconv": lambda x: norm(F.conv_transpose2d(x, weights(6, 8, 4, 4), None, 2, 1)),
    "grouped deconv": lambda x: norm(F.conv_transpose2d(x, weights(6, 2, 4, 4), weights(6), 2, 1, groups=3)),
    "sum": lambda x: norm(
        F.conv2d(x, weights(8, 6, 1, 1)) + F.conv2d(x * 2, weights(8, 6, 3, 3), weights(8), padding=1)
    ),
    "interpolated": lambda x: norm(
        F.interpolate(F.conv2d(x, weights(8, 6, 1, 1)), scale_factor=2.0, mode="bilinear")
    ),
    "twice": lambda x: norm(norm(F.conv2d(x, weights(8, 6, 1, 1))), 9),
}
UNFOLDABLE = {
    "no convolution": lambda x: norm(x),
    "used elsewhere": lambda x: (lambda y: norm(y) + y)(F.conv2d(x, weights(8, 6, 1, 1))),
    "an output": lambda x: (lambda y: (norm(y), y))(F.conv2d(x, weights(8, 6, 1, 1))),
    "one side only": lambda x: norm(F.conv2d(x, weights(6, 6, 1, 1)) + x.exp()),
    "after an activation": lambda x: norm(F.relu(F.conv2d(x, weights(8, 6, 1, 1)))),
}


@pytest.mark.parametrize(
    ("function", "folded"),
    [*((f, True) for f in FOLDABLE.values()), *((f, False) for f in UNFOLDABLE.values())],
    ids=[*FOLDABLE, *UNFOLDABLE],
)
def test_batch_norm_is_folded_where_that_is_exact(function, folded, trace_function, run_onnx) -> None:
    x = torch.randn(1, 6, 5, 7, generator=torch.Generator().manual_seed(1))
    expected = function(x)
    expected = expected if isinstance(expected, tuple) else (expected,)
    model = to_onnx(trace_function(function, tuple(x.shape)), nn.Identity())
    assert ("BatchNormalization" in {node.op_type for node in model.graph.node}) != folded
    outputs = run_onnx(model, x)
    for position, value in enumerate(expected):
        np.testing.assert_allclose(outputs[f"out{position}"], value.numpy(), rtol=1e-4, atol=1e-5)


def test_outputs_may_share_an_edge_be_the_input_or_a_constant(trace_function, run_onnx) -> None:
    x = torch.randn(1, 4)

    def function(x):
        y = x.relu()
        return y, y, x, torch.arange(3.0), y.reshape(4)

    outputs = run_onnx(to_onnx(trace_function(function, (1, 4)), nn.Identity()), x)
    for position, value in enumerate(function(x)):
        np.testing.assert_array_equal(outputs[f"out{position}"], value.numpy())


class _Whole(nn.Module):
    def __init__(self, net: PoseNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, images):
        outputs = self.net(images)
        return tuple(outputs.values()), tuple(self.net.decode(outputs).values())


@pytest.mark.slow
@pytest.mark.parametrize("arch", networks(), ids=lambda arch: f"{arch.head.type}-{arch.neck.upsampler}")
def test_agrees_with_torch_onnx(arch, calibrated_net, run_onnx) -> None:
    net, x = calibrated_net(arch), image(arch)
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(_Whole(net), (x,), buffer, input_names=["images"], dynamo=False, opset_version=17)
    oracle = list(run_onnx(onnx.load_from_string(buffer.getvalue()), x).values())

    outputs = run_onnx(to_onnx(Tracer.of(net)(arch), net, raw=True), x)

    with torch.no_grad():
        raw = net(x)
        names = [f"raw.{name}" for name in raw] + list(net.decode(raw))
    assert len(names) == len(outputs) == len(oracle)
    for name, expected in zip(names, oracle, strict=True):
        assert agreement(expected, outputs[name]) > 0.95, name


class _Joined(nn.Module):
    """A convolution over two sliced inputs, of which each holds the first channels of its own part."""

    def __init__(self, arch, skeleton) -> None:
        super().__init__()
        self.arch, self.skeleton = arch, skeleton
        self.conv = ElasticConv2d(12, 8, 1)

    def in_context(self, images, arch, context):
        joined = torch.cat([images, images[:, :2].exp()], dim=1)
        return {"maps": self.conv(joined, 4, context, segments=((0, 3), (6, 2)))}

    def decode(self, outputs, arch):
        return {"double": outputs["maps"] * 2}


def test_segments_of_a_weight_are_joined(some_arch, run_onnx) -> None:
    net = _Joined(some_arch, Skeleton.load("coco17"))
    graph = Tracer.of(net)(some_arch)
    assert graph.params == 4 * 5 + 4
    x = image(some_arch)
    found = run_onnx(to_onnx(graph, net), x)
    with torch.no_grad():
        expected = net.decode(net.in_context(x, some_arch, Context()), some_arch)
    np.testing.assert_allclose(found["double"], expected["double"].numpy(), rtol=1e-5, atol=1e-5)
