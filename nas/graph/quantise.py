"""int8: static quantisation of an exported network.

Convolutions and linear layers of the network's body compute with U8 activations and S8 weights per channel
(U8S8), written as QuantizeLinear / DequantizeLinear pairs that onnxruntime fuses. In fp32 stay transposed
convolutions (there is no integer kernel for them), the convolutions whose results decode reads (their
rounding would move keypoints most) and all of decode.
"""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, ValueInfoProto, numpy_helper
from torch import nn

from nas.codecs.exported import METADATA_KEY
from nas.errors import UserError
from nas.graph.builder import EDGE
from nas.graph.graph import Graph
from nas.graph.onnx import to_onnx
from nas.graph.qdq import Ranges, insert_pairs
from nas.layers import Statistics
from nas.timing.session import open_session

# Operators of the graph that multiply by weights; behind the last of them results are summed and reshaped.
_PRODUCTS = frozenset({"conv", "conv_transpose", "linear", "matmul"})
_QUANTISED = frozenset({"Conv", "Gemm", "MatMul"})
# onnxruntime fuses these into the convolution before them, if nothing lies between.
_FUSED = frozenset({"Relu", "Clip"})
# For timing alone: it does not depend on values, but on lower bounds of 0 (by them activations are dropped).
_ARBITRARY = {True: (0.0, 5.0), False: (-3.0, 3.0)}


def to_int8(
    graph: Graph,
    net: nn.Module | None = None,
    stats: Statistics | None = None,
    *,
    images: Iterable[NDArray[np.float32]] | None = None,
) -> ModelProto:
    """The int8 model of a graph, decode inside; input and outputs stay float.

    Args:
        graph: from a tracer of the network's own space.
        net: where weights come from; None for arbitrary ones (enough for timing).
        stats: batch-norm statistics; needed unless they are embedded in the network.
        images: normalised images [3, H, W] that show the ranges of activations; None for arbitrary ranges,
            which are enough for timing and need no run of the network.

    Raises:
        UserError: no image is among `images`.
        StatisticsMissingError, ValueError: see `to_onnx`.
    """
    model = to_onnx(graph, net, stats=stats)
    _turn_weights(model)
    products, tensors = _choice(model, graph)
    if images is None:
        ranges: Ranges = {name: _ARBITRARY[positive] for name, positive in tensors.items()}
    else:
        ranges = find_ranges(model, tensors, images)
    insert_pairs(model, products=products, ranges=ranges)
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            entry.value = json.dumps({**json.loads(entry.value), "precision": "int8"})
    return model


def find_ranges(model: ModelProto, tensors: Iterable[str], images: Iterable[NDArray[np.float32]]) -> Ranges:
    """Smallest and largest value of tensors (input or inner ones) over normalised images [3, H, W].

    Raises UserError where there is no image.
    """
    inputs = {value.name for value in model.graph.input}
    inner = sorted(set(tensors) - inputs)
    watched = ModelProto()
    watched.CopyFrom(model)
    known = {value.name for value in watched.graph.output}
    watched.graph.output.extend(ValueInfoProto(name=name) for name in inner if name not in known)
    session = open_session(watched.SerializeToString(), threads=1, name="the exported model")
    (name,) = inputs
    bounds: dict[str, tuple[float, float]] = {}
    for image in images:
        feed = {name: np.ascontiguousarray(image[None], dtype=np.float32)}
        values: dict[str, Any] = dict(zip(inner, session.run(inner, feed), strict=True)) | feed
        for tensor, array in values.items():
            low, high = bounds.get(tensor, (np.inf, -np.inf))
            bounds[tensor] = min(low, float(array.min())), max(high, float(array.max()))
    if not bounds:
        raise UserError("int8 needs images to find the ranges of activations; none was given")
    return bounds


def _choice(model: ModelProto, graph: Graph) -> tuple[set[str], dict[str, bool]]:
    """The nodes that multiply integers; what is rounded to eight bits, and whether it cannot be negative."""
    edges, last = _body(graph)
    constants = {tensor.name for tensor in model.graph.initializer} | {""}
    activations = _fused_activations(model)
    products, tensors = set(), set()
    for node in model.graph.node:
        edge = int(node.name.removeprefix(EDGE).partition(".")[0])
        if node.op_type not in _QUANTISED or edge not in edges or not constants.issuperset(node.input[1:]):
            continue
        if edge in last and node.op_type == "Conv":
            continue
        products.add(node.name)
        tensors.add(node.input[0])
        if edge not in last:
            tensors.add(activations.get(node.output[0], node.output[0]))
    positive = {name for node in model.graph.node if node.op_type in _FUSED for name in node.output}
    return products, {name: name in positive for name in tensors}


def _fused_activations(model: ModelProto) -> dict[str, str]:
    """What an activation makes of the tensors that nothing else reads."""
    uses = Counter(name for node in model.graph.node for name in node.input)
    uses.update(value.name for value in model.graph.output)
    return {
        node.input[0]: node.output[0]
        for node in model.graph.node
        if node.op_type in _FUSED and uses[node.input[0]] == 1
    }


def _body(graph: Graph) -> tuple[set[int], set[int]]:
    """The edges that the network gives, and those of them that decode reads.

    What decode reads at most summed, activated or reshaped counts.
    """
    makers = {edge: operator for operator in graph.operators for edge in operator.outputs}
    edges: set[int] = set()
    last: set[int] = set()
    # (edge, whether nothing was multiplied between it and the end of the body)
    waiting = [(value, True) for value in graph.raw_outputs.values() if isinstance(value, int)]
    seen: set[tuple[int, bool]] = set()
    while waiting:
        edge, at_end = waiting.pop()
        if edge not in makers or (edge, at_end) in seen:
            continue
        seen.add((edge, at_end))
        operator = makers[edge]
        edges.update(operator.outputs)
        if at_end and operator.kind in _PRODUCTS | {"batch_norm"}:
            # A batch norm's product takes over its edge when it is folded.
            last.update(operator.outputs)
        at_end = at_end and operator.kind not in _PRODUCTS
        waiting.extend((source, at_end) for source in operator.edges)
    return edges, last


def _turn_weights(model: ModelProto) -> None:
    """Transpose weights beforehand: quantised are only those that are constants themselves."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in list(model.graph.node):
        if node.op_type == "Transpose" and node.input[0] in constants:
            turned = numpy_helper.to_array(constants[node.input[0]]).transpose(node.attribute[0].ints)
            model.graph.initializer.append(numpy_helper.from_array(turned, node.output[0]))
            model.graph.node.remove(node)
