"""int8: static quantisation of an exported network.

Convolutions and linear layers of the network's body compute with U8 activations and S8 weights per channel
(U8S8), written as QuantizeLinear / DequantizeLinear pairs that onnxruntime fuses. In fp32 stay transposed
convolutions (there is no integer kernel for them), the convolutions whose results decode reads (their
rounding would move keypoints most) and all of decode.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, ValueInfoProto, numpy_helper
from torch import nn

from nas.errors import UserError
from nas.graph.batch import batches
from nas.graph.builder import EDGE
from nas.graph.graph import Graph
from nas.graph.onnx import describe, to_onnx
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
    return Quantiser(to_onnx(graph, net, stats=stats), graph, images=images)()


class Quantiser:
    """Makes int8 models of one model: ranges are found once, which layers stay in fp32 is chosen each time.

    Args:
        model: taking floats; it is changed no more than its weights' order.
        graph: that its nodes are named after.
        images: as for `to_int8`.

    Raises:
        UserError: no image is among `images`.
    """

    def __init__(
        self, model: ModelProto, graph: Graph, *, images: Iterable[NDArray[np.float32]] | None
    ) -> None:
        _turn_weights(model)
        self._model = model
        self._choice = _Choice.of(model, graph)
        scopes = _scopes(graph)
        self.layers = {edge: scopes[edge] for edge in self._choice.edges}
        """What may compute in integers, by the edge that it gives: the module's name, first layers first."""
        tensors = self._choice.tensors(())
        self._ranges: Ranges = (
            {name: _ARBITRARY[positive] for name, positive in tensors.items()}
            if images is None
            else find_ranges(model, tensors, images)
        )

    def kept(self, exact: Collection[int]) -> list[str]:
        """The names of these layers, first layers first."""
        return [name for edge, name in self.layers.items() if edge in exact]

    def __call__(self, exact: Collection[int] = ()) -> ModelProto:
        """The int8 model in which these of the layers compute in fp32."""
        model = ModelProto()
        model.CopyFrom(self._model)
        ranges = {name: self._ranges[name] for name in self._choice.tensors(exact)}
        insert_pairs(model, products=self._choice.products(exact), ranges=ranges)
        kept = self.kept(exact)
        describe(model, precision="int8", **({"fp32_layers": kept} if kept else {}))
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
    (node,) = model.graph.input
    bounds: dict[str, tuple[float, float]] = {}
    for batch in batches(images, node.type.tensor_type.shape.dim[0].dim_value):
        feed = {node.name: batch}
        values: dict[str, Any] = dict(zip(inner, session.run(inner, feed), strict=True)) | feed
        for tensor, array in values.items():
            low, high = bounds.get(tensor, (np.inf, -np.inf))
            bounds[tensor] = min(low, float(array.min())), max(high, float(array.max()))
    if not bounds:
        raise UserError("int8 needs images to find the ranges of activations; none was given")
    return bounds


def _scopes(graph: Graph) -> dict[int, str]:
    """The module that gives each edge; of a batch norm, which is folded, that before it."""
    scopes: dict[int, str] = {}
    for operator in graph.operators:
        scope = operator.scope
        if operator.kind == "batch_norm":
            scope = scopes.get(operator.edges[0], scope)
        scopes.update(dict.fromkeys(operator.outputs, scope))
    return scopes


@dataclass(frozen=True)
class _Product:
    """A node that may multiply integers.

    Args:
        node: its name.
        source: what it reads.
        result: what it gives, activated; None where decode reads that.
    """

    node: str
    source: str
    result: str | None


@dataclass(frozen=True)
class _Choice:
    """What of a model may compute in integers.

    Args:
        edges: the products, by the edges of the graph that they give.
        positive: tensors that cannot be negative.
    """

    edges: Mapping[int, _Product]
    positive: Collection[str]

    @classmethod
    def of(cls, model: ModelProto, graph: Graph) -> Self:
        edges, last = _body(graph)
        constants = {tensor.name for tensor in model.graph.initializer} | {""}
        activations = _fused_activations(model)
        products: dict[int, _Product] = {}
        for node in model.graph.node:
            edge = int(node.name.removeprefix(EDGE).partition(".")[0])
            if (
                node.op_type not in _QUANTISED
                or edge not in edges
                or not constants.issuperset(node.input[1:])
            ):
                continue
            if edge in last and node.op_type == "Conv":
                continue
            given = activations.get(node.output[0], node.output[0])
            products[edge] = _Product(node.name, node.input[0], None if edge in last else given)
        positive = {name for node in model.graph.node if node.op_type in _FUSED for name in node.output}
        return cls(products, positive)

    def products(self, exact: Collection[int]) -> list[str]:
        """The nodes that multiply integers, where those of these edges do not."""
        return [product.node for edge, product in self.edges.items() if edge not in exact]

    def tensors(self, exact: Collection[int]) -> dict[str, bool]:
        """What is rounded to eight bits then, and whether it cannot be negative."""
        chosen = [product for edge, product in self.edges.items() if edge not in exact]
        names = [name for product in chosen for name in (product.source, product.result) if name is not None]
        return {name: name in self.positive for name in names}


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
