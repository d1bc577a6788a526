"""Building an ONNX graph node by node."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import AttributeProto, NodeProto, TensorProto, numpy_helper
from torch import Tensor

from nas.graph.constants import Constant, ConstantFolder, leaves_of
from nas.graph.operator import Operator

ONNX_TYPES = {
    torch.float32: TensorProto.FLOAT,
    torch.float64: TensorProto.DOUBLE,
    torch.float16: TensorProto.FLOAT16,
    torch.int64: TensorProto.INT64,
    torch.int32: TensorProto.INT32,
    torch.uint8: TensorProto.UINT8,
    torch.bool: TensorProto.BOOL,
}

NUMPY_TYPES = {
    torch.float32: np.float32,
    torch.float64: np.float64,
    torch.float16: np.float16,
    torch.int64: np.int64,
    torch.int32: np.int32,
    torch.uint8: np.uint8,
    torch.bool: np.bool_,
}

_SHARED = 64
"""Initializers of at most so many values are one where they are equal."""

OPSET = 17
"""ONNX operators of this version are written unless another is asked for."""

EDGE = "edge_"
"""What names of edges begin with, before the id; nodes are named after their operator's first output."""


class Builder:
    """Collects nodes and initializers.

    Args:
        evaluate: gives the values of constants; None for arbitrary ones.
        names: names of edges that are settled beforehand (the graph's input and outputs).
        opset: whose operators the nodes are.
    """

    def __init__(
        self,
        evaluate: Callable[[Constant], Tensor] | None,
        names: Mapping[int, str],
        *,
        opset: int = OPSET,
    ) -> None:
        self.opset = opset
        self._evaluate = evaluate
        self._settled = frozenset(names)
        self._names = dict(names)
        self._constants: dict[tuple[int, bool], str] = {}
        self._arrays: dict[tuple[Any, ...], str] = {}
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self._count = 0
        self._origin = ""

    def begin(self, operator: Operator) -> None:
        """Name the nodes that follow after this operator, so that a profile tells what they belong to."""
        self._origin = f"{EDGE}{operator.outputs[0]}"

    def edge(self, id_: int) -> str:
        """The name of an edge."""
        return self._names.setdefault(id_, f"{EDGE}{id_}")

    def input(self, operator: Operator, position: int, *, arbitrary: float = 0.0) -> str:
        """The name of an operator's input ("" where it is left out).

        `arbitrary` fills a constant whose values nobody knows.
        """
        source = operator.inputs[position] if position < len(operator.inputs) else None
        if source is None:
            return ""
        return self.edge(source) if isinstance(source, int) else self.constant(source, arbitrary=arbitrary)

    def broadcast(self, operator: Operator, position: int) -> str:
        """As `input`, for an operator that broadcasts: a constant of equal entries becomes a scalar."""
        source = operator.inputs[position]
        assert source is not None
        if isinstance(source, int):
            return self.edge(source)
        return self.constant(source, arbitrary=0.5, scalar_if_uniform=True)

    def emit(self, operator: Operator, type_: str, inputs: Sequence[str], **attributes: Any) -> None:
        """Add the node that gives the operator's outputs."""
        self._add(type_, inputs, [self.edge(output) for output in operator.outputs], attributes)

    def give(self, output: int, type_: str, inputs: Sequence[str], **attributes: Any) -> None:
        """Add the node that gives one of an operator's outputs."""
        self._add(type_, inputs, [self.edge(output)], attributes)

    def node(self, type_: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add an inner node of one output; gives the name of that."""
        name = self._fresh("inner")
        self._add(type_, inputs, [name], attributes)
        return name

    def alias(self, operator: Operator, name: str) -> None:
        """Let the operator's output be an edge that exists."""
        (output,) = operator.outputs
        if output in self._settled:
            self.emit(operator, "Identity", [name])
        else:
            self._names[output] = name

    def rename(self, source: str, name: str) -> None:
        """Add a second name for an edge or an initializer."""
        self._add("Identity", [source], [name], {})

    def cast(self, name: str, have: torch.dtype, want: torch.dtype) -> str:
        """The edge in another dtype; itself where it has that already."""
        return name if have == want else self.node("Cast", [name], to=ONNX_TYPES[want])

    def array(self, values: NDArray[Any]) -> str:
        """The name of an initializer; equal small arrays share one."""
        if values.size > _SHARED:
            return self._initializer(values)
        key = (values.dtype.str, values.shape, values.tobytes())
        if key not in self._arrays:
            self._arrays[key] = self._initializer(values)
        return self._arrays[key]

    def integers(self, values: Sequence[int]) -> str:
        """The name of a 1-D int64 initializer."""
        return self.array(np.asarray(values, np.int64))

    def constant(self, constant: Constant, *, arbitrary: float = 0.0, scalar_if_uniform: bool = False) -> str:
        """The name of the initializer that holds a constant."""
        key = (id(constant), scalar_if_uniform)
        if key not in self._constants:
            self._constants[key] = self._hold(constant, arbitrary, scalar_if_uniform)
        return self._constants[key]

    def _hold(self, constant: Constant, arbitrary: float, scalar_if_uniform: bool) -> str:
        if self._evaluate is None and leaves_of(constant):
            return self._initializer(np.full(constant.shape, arbitrary, NUMPY_TYPES[constant.dtype]))
        tensor = self._value(constant)
        if scalar_if_uniform and tensor.numel() > 1 and not any(tensor.stride()):
            return self.array(tensor.flatten()[0].numpy())
        return self.array(tensor.contiguous().numpy())

    def _value(self, constant: Constant) -> Tensor:
        evaluate = self._evaluate or ConstantFolder(_unreachable)
        return evaluate(constant).detach().cpu()

    def _initializer(self, array: NDArray[Any]) -> str:
        name = self._fresh("weight")
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def _fresh(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}_{self._count}"

    def _add(
        self, type_: str, inputs: Sequence[str], outputs: Sequence[str], attributes: Mapping[str, Any]
    ) -> None:
        name = f"{self._origin}.{type_}.{len(self.nodes)}"
        node = NodeProto(op_type=type_, name=name, input=inputs, output=outputs)
        node.attribute.extend(_attribute(name, value) for name, value in attributes.items())
        self.nodes.append(node)


def emit_as(type_: str, **fixed: Any) -> Callable[[Operator, Builder], None]:
    """How an operator becomes one node of the same inputs, with the operator's attributes and these."""

    def emit(operator: Operator, builder: Builder) -> None:
        names = [builder.input(operator, position) for position in range(len(operator.inputs))]
        builder.emit(operator, type_, names, **operator.attributes, **fixed)

    return emit


def _attribute(name: str, value: Any) -> AttributeProto:
    """As onnx.helper.make_attribute for ints, floats, strings and lists of ints, several times faster."""
    if isinstance(value, int):
        return AttributeProto(name=name, type=AttributeProto.INT, i=value)
    if isinstance(value, float):
        return AttributeProto(name=name, type=AttributeProto.FLOAT, f=value)
    if isinstance(value, str):
        return AttributeProto(name=name, type=AttributeProto.STRING, s=value.encode())
    if isinstance(value, list | tuple) and all(isinstance(item, int) for item in value):
        return AttributeProto(name=name, type=AttributeProto.INTS, ints=value)
    attribute: AttributeProto = onnx.helper.make_attribute(name, value)
    return attribute


def _unreachable(leaf: object) -> Tensor:
    raise AssertionError(f"{leaf} needs a network")
