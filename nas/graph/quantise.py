"""int8: static quantisation of an exported network.

Convolutions and linear layers of the network's body compute with U8 activations and S8 weights per channel
(U8S8), written as QuantizeLinear / DequantizeLinear pairs that onnxruntime fuses. In fp32 stay transposed
convolutions (there is no integer kernel for them), the convolutions whose results decode reads (their
rounding would move keypoints most) and all of decode.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, ValueInfoProto, numpy_helper
from torch import nn

from nas.codecs.exported import METADATA_KEY
from nas.errors import UserError
from nas.graph.builder import EDGE
from nas.graph.graph import Graph
from nas.graph.onnx import to_onnx
from nas.graph.qdq import QdqWriter, Ranges
from nas.layers import Statistics

Image = NDArray[np.float32]

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
    images: Iterable[Image] | None = None,
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
    plan = _Plan.of(model, graph)
    ranges = plan.arbitrary_ranges() if images is None else find_ranges(model, plan.tensors, images)
    quantised = _write(model, plan, ranges)
    for entry in quantised.metadata_props:
        if entry.key == METADATA_KEY:
            entry.value = json.dumps({**json.loads(entry.value), "precision": "int8"})
    return quantised


def find_ranges(model: ModelProto, tensors: Iterable[str], images: Iterable[Image]) -> Ranges:
    """Smallest and largest value of tensors (input or inner ones) over normalised images [3, H, W].

    Raises UserError where there is no image.
    """
    import onnxruntime  # only here, so that tracing and predicting do without it

    given = {value.name for value in model.graph.input}
    inner = sorted(set(tensors) - given)
    watched = ModelProto()
    watched.CopyFrom(model)
    known = {value.name for value in watched.graph.output}
    watched.graph.output.extend(ValueInfoProto(name=name) for name in inner if name not in known)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        watched.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    (name,) = given
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


@dataclass(frozen=True)
class _Plan:
    """What of a model is quantised.

    Args:
        products: by node name, the weight and the axis of its output channels.
        tensors: what is rounded to eight bits.
        names: by tensor, the prefix of its nodes' names: that of what computes it.
        dropped: nodes that are not needed any more.
        activated: the tensors that cannot be negative.
    """

    products: Mapping[str, tuple[NDArray[np.float32], int]]
    tensors: frozenset[str]
    names: Mapping[str, str]
    dropped: frozenset[str]
    activated: frozenset[str]

    @classmethod
    def of(cls, model: ModelProto, graph: Graph) -> "_Plan":
        body = _Body(graph)
        lookup = _Lookup(model)
        products: dict[str, tuple[NDArray[np.float32], int]] = {}
        tensors: set[str] = set()
        dropped: set[str] = set()
        for node in model.graph.node:
            if node.op_type not in _QUANTISED or not body.holds(node):
                continue
            last = body.is_last(node)
            if node.op_type == "Conv" and last:
                continue
            found = lookup.weight(node)
            if found is None:
                continue
            weight, turned = found
            products[node.name] = weight, _channel_axis(node)
            dropped.update(turned)
            tensors.add(node.input[0])
            if not last:
                tensors.add(lookup.settled(node))
        makers = {name: lookup.maker(name) for name in tensors}
        activated = {name for name, node in makers.items() if node is not None and node.op_type in _FUSED}
        return cls(
            products=products,
            tensors=frozenset(tensors),
            names={name: f"{EDGE}0" if node is None else node.name for name, node in makers.items()},
            dropped=frozenset(dropped),
            activated=frozenset(activated),
        )

    def arbitrary_ranges(self) -> Ranges:
        """Ranges for a model that is only timed."""
        return {name: _ARBITRARY[name in self.activated] for name in self.tensors}


class _Body:
    """Which nodes belong to the network, and which of them decode reads."""

    def __init__(self, graph: Graph) -> None:
        makers = {edge: operator for operator in graph.operators for edge in operator.outputs}
        self._edges: set[int] = set()
        self._last: set[int] = set()
        # (edge, whether nothing was multiplied between it and the end of the body)
        waiting = [(value, True) for value in graph.raw_outputs.values() if isinstance(value, int)]
        seen: set[tuple[int, bool]] = set()
        while waiting:
            edge, at_end = waiting.pop()
            if edge not in makers or (edge, at_end) in seen:
                continue
            seen.add((edge, at_end))
            operator = makers[edge]
            self._edges.update(operator.outputs)
            if at_end and operator.kind in _PRODUCTS | {"batch_norm"}:
                # A batch norm's product takes over its edge when it is folded.
                self._last.update(operator.outputs)
            at_end = at_end and operator.kind not in _PRODUCTS
            waiting.extend((source, at_end) for source in operator.edges)

    def holds(self, node: NodeProto) -> bool:
        return _edge_of(node) in self._edges

    def is_last(self, node: NodeProto) -> bool:
        """Whether decode reads what the node gives, at most summed, activated or reshaped."""
        return _edge_of(node) in self._last


class _Lookup:
    """What stands around a node."""

    def __init__(self, model: ModelProto) -> None:
        self._initializers = {tensor.name: tensor for tensor in model.graph.initializer}
        self._makers = {name: node for node in model.graph.node for name in node.output}
        self._outputs = {value.name for value in model.graph.output}
        self._readers: dict[str, list[NodeProto]] = {}
        for node in model.graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)

    def maker(self, tensor: str) -> NodeProto | None:
        return self._makers.get(tensor)

    def weight(self, node: NodeProto) -> tuple[NDArray[np.float32], tuple[str, ...]] | None:
        """A product's constant weight, and the node that turns it (then to be dropped); None for another."""
        if len(node.input) > 2 and node.input[2] and node.input[2] not in self._initializers:
            return None
        name = node.input[1]
        if name in self._initializers:
            return numpy_helper.to_array(self._initializers[name]), ()
        maker = self._makers.get(name)
        if (
            maker is None
            or maker.op_type != "Transpose"
            or maker.input[0] not in self._initializers
            or len(self._readers[name]) > 1
        ):
            return None
        (axes,) = (list(attribute.ints) for attribute in maker.attribute if attribute.name == "perm")
        return numpy_helper.to_array(self._initializers[maker.input[0]]).transpose(axes), (maker.name,)

    def settled(self, node: NodeProto) -> str:
        """The tensor that a product gives once the activation behind it is fused into it."""
        output = str(node.output[0])
        readers = self._readers.get(output, [])
        if len(readers) == 1 and readers[0].op_type in _FUSED and output not in self._outputs:
            return str(readers[0].output[0])
        return output


def _write(model: ModelProto, plan: _Plan, ranges: Ranges) -> ModelProto:
    writer = QdqWriter(model, ranges=ranges, names=plan.names)
    for tensor in _inputs(model):
        writer.tensor(tensor)
    for node in model.graph.node:
        if node.name in plan.dropped:
            continue
        if node.name in plan.products:
            weight, axis = plan.products[node.name]
            writer.product(node, weight, axis=axis)
        else:
            writer.copy(node)
        for tensor in node.output:
            writer.tensor(tensor)
    return writer.model()


def _inputs(model: ModelProto) -> Iterator[str]:
    return (value.name for value in model.graph.input)


def _edge_of(node: NodeProto) -> int:
    """The id of the edge that a node is named after."""
    return int(node.name.removeprefix(EDGE).partition(".")[0])


def _channel_axis(node: NodeProto) -> int:
    transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return 0 if node.op_type == "Conv" or transposed else 1
