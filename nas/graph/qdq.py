"""Writing QuantizeLinear / DequantizeLinear pairs into an ONNX graph: U8 activations, S8 weights.

The arithmetic is ONNX's: value = scale * (integer - zero point). Activations are asymmetric and always hold
an exact zero (padding needs it); weights are symmetric, one scale per output channel; biases are 32-bit
integers of scale (input scale * weight scale).
"""

# onnxruntime.quantization (1.32) writes the same pairs: on five networks (of person-crop, CSPNeXt, RTMPose
# and LitePose) the fused operators, the milliseconds and the errors against fp32 were equal. But it takes
# 0.15 s for the smallest and 5.5 s for the largest LitePose where this takes 0.01 and 0.12, and a timing
# builds a model at each of its five visits of a second or two. A third of its nodes (53 of 159, 109 of
# 394) have names that do not tell what they belong to, by which profiles are taken apart; it rounds what
# decode reads; and it writes MatMul's turned weights in fp32. What mends that, and chooses the nodes, would
# be 220 lines instead of 300.

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from nas.graph.builder import EDGE

Ranges = Mapping[str, tuple[float, float]]
"""Smallest and largest value of tensors, by name."""

_LEVELS = 255
_WEIGHT_LEVELS = 127
# A bias stays this far below 2**31, so that sums in 32 bits have room.
_BIAS_LEVELS = 2**30


def insert_pairs(model: ModelProto, *, products: Collection[str], ranges: Ranges) -> None:
    """Let nodes multiply integers, and round the tensors of known ranges to eight bits, in place.

    Args:
        products: names of the nodes, whose weights and biases are constants.
        ranges: of all that they read, and of what else is rounded.
    """
    writer = _PairWriter({tensor.name: tensor for tensor in model.graph.initializer}, ranges)
    for value in model.graph.input:
        writer.round(value.name, f"{EDGE}0")
    for node in model.graph.node:
        writer.copy(node, integers=node.name in products)
        for name in node.output:
            writer.round(name, node.name)
    read = {name for node in writer.nodes for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(writer.nodes)
    model.graph.initializer.extend([*kept, *writer.constants])


class _PairWriter:
    def __init__(self, initializers: Mapping[str, TensorProto], ranges: Ranges) -> None:
        self._initializers = initializers
        self._ranges = ranges
        self._scales: dict[str, np.float32] = {}
        self.constants: list[TensorProto] = []
        self.nodes: list[NodeProto] = []

    def round(self, name: str, owner: str) -> None:
        """A pair behind a tensor, where it is rounded; its readers get the second of them."""
        if name not in self._ranges:
            return
        self._scales[name], zero_point = _activation_scale(*self._ranges[name])
        scale = [
            self._constant(f"{name}_scale", np.asarray(self._scales[name])),
            self._constant(f"{name}_zero_point", np.asarray(zero_point)),
        ]
        self._add("QuantizeLinear", [name, *scale], f"{name}_integers", owner)
        self._add("DequantizeLinear", [f"{name}_integers", *scale], f"{name}_quantised", owner)

    def copy(self, node: NodeProto, *, integers: bool) -> None:
        """A node that reads what was rounded, with weights and bias in integers where it is a product."""
        copied = NodeProto()
        copied.CopyFrom(node)
        for position, name in enumerate(node.input):
            if name in self._scales:
                copied.input[position] = f"{name}_quantised"
        if integers:
            copied.input[1:] = self._parameters(node)
        self.nodes.append(copied)

    def _parameters(self, node: NodeProto) -> list[str]:
        """The weight and the bias of a product, as integers."""
        weight, *bias = (numpy_helper.to_array(self._initializers[name]) for name in node.input[1:] if name)
        axis = _channel_axis(node)
        input_scale = self._scales[node.input[0]]
        scales = _weight_scales(weight, axis, bias[0] if bias else None, input_scale)
        broadcast = scales.reshape([-1 if other == axis else 1 for other in range(weight.ndim)])
        rounded = np.clip(np.rint(weight / broadcast), -_WEIGHT_LEVELS, _WEIGHT_LEVELS).astype(np.int8)
        names = [self._dequantised(f"{node.name}.weight", rounded, scales, axis)]
        if bias:
            scales = (scales * input_scale).astype(np.float32)
            rounded = np.rint(bias[0] / scales).astype(np.int32)
            names.append(self._dequantised(f"{node.name}.bias", rounded, scales, 0))
        return names

    def _dequantised(self, name: str, integers: NDArray[Any], scales: NDArray[np.float32], axis: int) -> str:
        constants = [
            self._constant(f"{name}_integers", integers),
            self._constant(f"{name}_scale", scales),
            self._constant(f"{name}_zero_point", np.zeros(len(scales), integers.dtype)),
        ]
        self._add("DequantizeLinear", constants, name, name, axis=axis)
        return name

    def _add(self, type_: str, inputs: Sequence[str], output: str, owner: str, **attributes: int) -> None:
        node = onnx.helper.make_node(type_, inputs, [output], name=f"{owner}.{type_}", **attributes)
        self.nodes.append(node)

    def _constant(self, name: str, values: NDArray[Any]) -> str:
        self.constants.append(numpy_helper.from_array(values, name))
        return name


def _channel_axis(node: NodeProto) -> int:
    """The axis of a product's weight along which its output channels lie."""
    turned = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return 0 if node.op_type == "Conv" or turned else 1


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
    others = tuple(other for other in range(weight.ndim) if other != axis)
    scales = np.abs(weight).max(axis=others) / _WEIGHT_LEVELS
    if bias is not None:
        scales = np.maximum(scales, np.abs(bias) / (float(input_scale) * _BIAS_LEVELS))
    return np.where(scales > 0, scales, 1.0).astype(np.float32)
