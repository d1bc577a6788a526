"""Writing QuantizeLinear / DequantizeLinear pairs into an ONNX graph: U8 activations, S8 weights.

The arithmetic is ONNX's: value = scale * (integer - zero point). Activations are asymmetric and always hold
an exact zero (padding needs it); weights are symmetric, one scale per output channel; biases are 32-bit
integers of scale (input scale * weight scale).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

Ranges = Mapping[str, tuple[float, float]]
"""Smallest and largest value of tensors, by name."""

_LEVELS = 255
_WEIGHT_LEVELS = 127
# A bias stays this far below 2**31, so that sums in 32 bits have room.
_BIAS_LEVELS = 2**30


class QdqWriter:
    """Rebuilds a model's graph node by node, with pairs where they belong.

    Args:
        model: is not changed.
        ranges: of the tensors that are quantised.
        names: prefix of the names of a tensor's nodes, by tensor.
    """

    def __init__(self, model: ModelProto, *, ranges: Ranges, names: Mapping[str, str]) -> None:
        self._model = model
        self._ranges = ranges
        self._names = names
        self._initializers = {tensor.name: tensor for tensor in model.graph.initializer}
        self._scales: dict[str, np.float32] = {}
        self._new: list[TensorProto] = []
        self._nodes: list[NodeProto] = []

    def tensor(self, name: str) -> None:
        """A pair behind a tensor, where it is quantised; its readers get the second of them."""
        if name not in self._ranges:
            return
        scale, zero_point = _activation_scale(*self._ranges[name])
        constants = [
            self._constant(f"{name}_scale", np.asarray(scale)),
            self._constant(f"{name}_zero_point", np.asarray(zero_point)),
        ]
        self._pair("QuantizeLinear", [name, *constants], _integers(name), self._names[name])
        self._pair("DequantizeLinear", [_integers(name), *constants], _read(name), self._names[name])
        self._scales[name] = scale

    def copy(self, node: NodeProto) -> None:
        """A node as it is, reading what was quantised."""
        copied = NodeProto()
        copied.CopyFrom(node)
        for position, name in enumerate(node.input):
            if name in self._scales:
                copied.input[position] = _read(name)
        self._nodes.append(copied)

    def product(self, node: NodeProto, weight: NDArray[np.float32], *, axis: int) -> None:
        """A convolution or matrix product with integer weights, its output channels along `axis`."""
        self.copy(node)
        product = self._nodes.pop()
        input_scale = self._scales[node.input[0]]
        bias_name = node.input[2] if len(node.input) > 2 else ""
        bias = numpy_helper.to_array(self._initializers[bias_name]) if bias_name else None
        scales = _weight_scales(weight, axis, bias, input_scale)
        broadcast = scales.reshape([-1 if place == axis else 1 for place in range(weight.ndim)])
        integers = np.clip(np.rint(weight / broadcast), -_WEIGHT_LEVELS, _WEIGHT_LEVELS).astype(np.int8)
        product.input[1] = self._weights(f"{node.name}.weight", integers, scales, axis)
        if bias is not None:
            bias_scales = (scales * input_scale).astype(np.float32)
            rounded = np.rint(bias / bias_scales).astype(np.int32)
            product.input[2] = self._weights(f"{node.name}.bias", rounded, bias_scales, 0)
        self._nodes.append(product)

    def model(self) -> ModelProto:
        """The model that was written, without initializers that nothing reads any more."""
        result = ModelProto()
        result.CopyFrom(self._model)
        del result.graph.node[:]
        del result.graph.initializer[:]
        read = {name for node in self._nodes for name in node.input}
        kept = [tensor for name, tensor in self._initializers.items() if name in read]
        result.graph.initializer.extend([*kept, *self._new])
        result.graph.node.extend(self._nodes)
        return result

    def _weights(self, name: str, integers: NDArray[Any], scales: NDArray[np.float32], axis: int) -> str:
        constants = [
            self._constant(f"{name}_integers", integers),
            self._constant(f"{name}_scale", scales),
            self._constant(f"{name}_zero_point", np.zeros(len(scales), integers.dtype)),
        ]
        self._pair("DequantizeLinear", constants, name, name, axis=axis)
        return name

    def _pair(self, type_: str, inputs: Sequence[str], output: str, name: str, **attributes: int) -> None:
        node = onnx.helper.make_node(type_, inputs, [output], name=f"{name}.{type_}", **attributes)
        self._nodes.append(node)

    def _constant(self, name: str, values: NDArray[Any]) -> str:
        self._new.append(numpy_helper.from_array(values, name))
        return name


def _integers(name: str) -> str:
    return f"{name}_integers"


def _read(name: str) -> str:
    return f"{name}_quantised"


def _activation_scale(low: float, high: float) -> tuple[np.float32, np.uint8]:
    """Scale and zero point of a range, widened to hold zero."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32((high - low) / _LEVELS) if high > low else np.float32(1)
    # onnxruntime drops an activation's upper bound only where no integer stands for more than the bound.
    if low == 0 and scale * np.float32(_LEVELS) > np.float32(high):
        scale = np.nextafter(scale, np.float32(0))
    return scale, np.uint8(np.clip(np.rint(-low / scale), 0, _LEVELS))


def _weight_scales(
    weight: NDArray[np.float32], axis: int, bias: NDArray[np.float32] | None, input_scale: np.float32
) -> NDArray[np.float32]:
    """One scale per output channel, large enough for the channel's bias to fit into 32 bits."""
    others = tuple(place for place in range(weight.ndim) if place != axis)
    scales = np.abs(weight).max(axis=others) / _WEIGHT_LEVELS
    if bias is not None:
        scales = np.maximum(scales, np.abs(bias) / (float(input_scale) * _BIAS_LEVELS))
    return np.where(scales > 0, scales, 1.0).astype(np.float32)
