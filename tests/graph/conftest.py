"""Functions of tensors as graphs, and networks with statistics."""

from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import ModelProto
from torch import Tensor, nn

from nas.graph import Graph, TensorType, to_onnx
from nas.graph.constants import ConstantPool
from nas.graph.fragments import Frame, Slot
from nas.graph.merge import merged
from nas.layers import ElasticBatchNorm2d
from nas.models import PoseNet
from nas.space import ArchManager, SearchSpace
from nas.space.arch import Arch
from nas.space.skeleton import Skeleton

Function = Callable[[Tensor], object]
Outputs = dict[str, np.ndarray]


@pytest.fixture(scope="session")
def some_arch() -> Arch:
    return ArchManager(SearchSpace.load("demo")).smallest()


@pytest.fixture(scope="session")
def trace_function(some_arch: Arch) -> Callable[[Function, tuple[int, ...]], Graph]:
    """The graph of a function of one float tensor of that shape; its results are named by position."""

    def trace(function: Function, shape: tuple[int, ...]) -> Graph:
        type_ = TensorType(torch.Size(shape), torch.float32)
        pool = ConstantPool()
        frame = Frame("test", pool, [type_])
        results = function(frame.inputs[0])
        results = tuple(results) if isinstance(results, tuple | list) else (results,)
        fragment = merged(frame.close(results))
        named = {
            f"out{position}": value.index if isinstance(value, Slot) else pool.given(value)
            for position, value in enumerate(fragment.form)
        }
        return Graph(some_arch, Skeleton.load("coco17"), fragment, type_, named, {})

    return trace


@pytest.fixture(scope="session")
def run_onnx() -> Callable[[ModelProto, Tensor], Outputs]:
    def run(model: ModelProto, images: Tensor) -> Outputs:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        names = [output.name for output in session.get_outputs()]
        feed = {"images": images.numpy()} if session.get_inputs() else {}
        return dict(zip(names, session.run(None, feed), strict=True))

    return run


@pytest.fixture
def run_function(trace_function, run_onnx) -> Callable[[Function, Tensor], tuple[Graph, Outputs]]:
    """A function through the graph, ONNX and onnxruntime."""

    def run(function: Function, x: Tensor) -> tuple[Graph, Outputs]:
        graph = trace_function(function, tuple(x.shape))
        evaluated = to_onnx(graph, nn.Identity())
        return graph, run_onnx(evaluated, x)

    return run


@pytest.fixture(scope="session")
def calibrated_net() -> Callable[..., PoseNet]:
    """A plain network with random weights, affine parameters and statistics embedded."""

    def build(arch: Arch, skeleton: str = "coco17", *, seed: int = 0) -> PoseNet:
        torch.manual_seed(seed)
        net = PoseNet(arch, skeleton).eval()
        for module in net.modules():
            if isinstance(module, ElasticBatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=0.1)
                module.embed(torch.randn(module.num_features) * 0.1, torch.rand(module.num_features) + 0.5)
        return net

    return build
