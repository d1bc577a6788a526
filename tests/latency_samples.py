"""Small models, networks and visits that the latency tests share."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from nas.latency.kernels import REORDER_IN, REORDER_OUT, Kernel
from nas.latency.mirror import KernelMirror
from nas.timing.device import DeviceDescription
from nas.timing.profile import OperatorTime
from nas.timing.protocol import Network, Visit

if TYPE_CHECKING:
    from nas.graph import Graph

BLOCK = 16
DEVICE = DeviceDescription(
    cpu="Example 1 (family 1, model 2, stepping 3)",
    instruction_set=("avx2", "fma"),
    cores=4,
    system="Linux x86_64",
    runtime="onnxruntime 1.0.0",
    session_options=(("arena", "on"),),
    threads=1,
)


def small_model(channels: int = 4, *, size: int | str = 8) -> bytes:
    """A serialised ONNX model: convolution, sigmoid."""
    weight = numpy_helper.from_array(np.ones((channels, 3, 3, 3), np.float32), "weight")
    nodes = [
        helper.make_node("Conv", ["images", "weight"], ["features"], pads=[1, 1, 1, 1], name="conv"),
        helper.make_node("Sigmoid", ["features"], ["maps"], name="sigmoid"),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, size, size])],
        [helper.make_tensor_value_info("maps", TensorProto.FLOAT, None)],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def small_network(key: str = "small", channels: int = 4) -> Network:
    """A network of `small_model`."""
    return Network(key=key, name=key, model=lambda: small_model(channels), description=(("macs", 1000),))


def visit_of(times: Iterable[float] = (2.0, 1.0), *, wall: float = 4.0, loaded: bool = False) -> Visit:
    """A visit with operators of these times (ms)."""
    operators = tuple(OperatorTime(f"op{index}", "Conv", ms) for index, ms in enumerate(times))
    return Visit(
        operators=operators,
        wall_ms=(wall, wall + 1),
        cpu_ms=(wall - 0.5,),
        outside_ms=0.25,
        date="2030-01-01T00:00:00+00:00",
        foreign_load=0.5 if loaded else 0.0,
        loaded=loaded,
    )


def true_kernel_ms(kernel: Kernel) -> float:
    """What a kernel takes on a made-up machine: computing, moving, starting."""
    rate = 0.03 if "depthwise" in kernel.kind else 0.01
    moved = kernel.read + kernel.written + kernel.weights
    return 0.002 + rate * kernel.macs * 1e-6 + 0.2 * moved * 1e-6


def true_ms(graph: "Graph") -> float:
    """The latency of a network on the made-up machine."""
    return sum(true_kernel_ms(placed.kernel) for placed in KernelMirror(BLOCK)(graph))


def other_kernel_ms(kernel: Kernel) -> float:
    """The same on another machine: slower, pointwise convolutions most, and small kernels more than large."""
    factor = 3.0 if "pointwise" in kernel.kind else 1.5
    return factor * true_kernel_ms(kernel) ** 0.9 * 0.01**0.1


def true_visit(
    graph: "Graph",
    *,
    noise: float = 0.0,
    rng: np.random.Generator | None = None,
    kernel_ms: Callable[[Kernel], float] = true_kernel_ms,
) -> Visit:
    """A visit on a made-up machine: its profile names operators as onnxruntime does."""
    names = {REORDER_IN: "ReorderInput", REORDER_OUT: "ReorderOutput"}
    operators, seen = [], Counter[str]()
    for placed in KernelMirror(BLOCK)(graph):
        kernel = placed.kernel
        reorder = names.get(kernel.kind)
        name = f"edge_{placed.edges[-1]}_nchwc"
        if reorder:
            name = f"{reorder} 1x{kernel.outputs}x{kernel.height}x{kernel.width}"
        seen[name] += 1
        ms = kernel_ms(kernel) * (1 + noise * (rng.standard_normal() if rng else 0))
        operators.append(OperatorTime(name if seen[name] == 1 else f"{name}#{seen[name]}", "Any", ms))
    wall = sum(operator.ms for operator in operators)
    visit = visit_of((), wall=wall)
    return replace(visit, operators=tuple(operators))
