"""Convolutions, linear layers, matrix products and batch normalisation."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F

from nas.graph.builder import Builder, emit_as
from nas.graph.operator import Operator
from nas.graph.registry import Binding, Record, Tie, register
from nas.graph.symbols import Symbol, TensorType, type_of


def pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    """An int twice, or the two (or one) given."""
    if isinstance(value, int):
        return value, value
    return value[0], value[-1]


def _extent(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def _bind_conv(
    x: Symbol,
    weight: Symbol,
    bias: Symbol | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Binding:
    if isinstance(padding, str):
        raise ValueError("write a convolution's padding as numbers")
    strides, pads, dilations = pair(stride), pair(padding), pair(dilation)
    batch, channels, height, width = x.shape
    filters, per_group, kernel_h, kernel_w = weight.shape
    if channels != per_group * groups or filters % groups:
        raise ValueError(f"a weight {list(weight.shape)} in {groups} groups for {channels} channels")
    shape = (
        batch,
        filters,
        _extent(height, kernel_h, strides[0], pads[0], dilations[0]),
        _extent(width, kernel_w, strides[1], pads[1], dilations[1]),
    )
    attributes = {"strides": strides, "pads": pads * 2, "dilations": dilations, "group": groups}
    return Binding((x, weight, bias), attributes, (TensorType(torch.Size(shape), x.dtype),))


def _conv_macs(binding: Binding) -> int:
    weight = binding.operands[1]
    assert weight is not None
    return binding.results[0].shape.numel() * weight.shape[1:].numel()


def _conv_label(operator: Operator) -> str:
    weight = operator.input_type(1)
    kernel = weight.shape[-1]
    group = operator.attributes["group"]
    if group > 1:
        name = "depthwise" if weight.shape[1] == 1 and operator.kind == "conv" else "grouped"
        return f"{operator.kind}.{name}{kernel}"
    return f"{operator.kind}.{'pointwise' if kernel == 1 else f'dense{kernel}'}"


def _couple_conv(operator: Operator) -> Iterator[Tie]:
    weight = operator.input_type(1)
    depthwise = weight.shape[1] == 1 and weight.shape[0] == operator.attributes["group"]
    if operator.attributes["group"] == 1:
        yield ("in", 0, 1), ("in", 1, 1)
    elif depthwise:
        yield ("in", 0, 1), ("in", 1, 0)
    else:
        return
    yield ("in", 1, 0), ("out", 0, 1)
    if operator.inputs[2] is not None:
        yield ("in", 2, 0), ("out", 0, 1)


def _emit_conv(type_: str, operator: Operator, builder: Builder) -> None:
    weight = operator.input_type(1)
    names = [builder.input(operator, position) for position in range(3)]
    names = names if names[2] else names[:2]
    kernel_shape = tuple(weight.shape[2:])
    builder.emit(operator, type_, names, kernel_shape=kernel_shape, **operator.attributes)


def _bind_conv_transpose(
    x: Symbol,
    weight: Symbol,
    bias: Symbol | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Binding:
    strides, pads, extra, dilations = pair(stride), pair(padding), pair(output_padding), pair(dilation)
    if x.shape[1] != weight.shape[0]:
        raise ValueError(f"a weight {list(weight.shape)} for {x.shape[1]} channels")
    sides = [
        (x.shape[2 + axis] - 1) * strides[axis] - 2 * pads[axis]
        + dilations[axis] * (weight.shape[2 + axis] - 1) + extra[axis] + 1
        for axis in (0, 1)
    ]  # fmt: skip
    result = TensorType(torch.Size((x.shape[0], weight.shape[1] * groups, *sides)), x.dtype)
    attributes = {
        "strides": strides, "pads": pads * 2, "output_padding": extra, "dilations": dilations, "group": groups
    }  # fmt: skip
    return Binding((x, weight, bias), attributes, (result,))


def _conv_transpose_macs(binding: Binding) -> int:
    x, weight = binding.operands[:2]
    assert x is not None
    assert weight is not None
    return x.shape.numel() * weight.shape[1:].numel()


def _couple_conv_transpose(operator: Operator) -> Iterator[Tie]:
    if operator.attributes["group"] != 1:
        return
    yield ("in", 0, 1), ("in", 1, 0)
    yield ("in", 1, 1), ("out", 0, 1)
    if operator.inputs[2] is not None:
        yield ("in", 2, 0), ("out", 0, 1)


def _bind_linear(x: Symbol, weight: Symbol, bias: Symbol | None = None) -> Binding:
    return Binding((x, weight, bias), {}, (type_of(F.linear, x, weight, bias),))


def _linear_macs(binding: Binding) -> int:
    x = binding.operands[0]
    assert x is not None
    return binding.results[0].shape.numel() * x.shape[-1]


def _couple_linear(operator: Operator) -> Iterator[Tie]:
    last = len(operator.shape) - 1
    for axis in range(last):
        yield ("in", 0, axis), ("out", 0, axis)
    yield ("in", 0, last), ("in", 1, 1)
    yield ("in", 1, 0), ("out", 0, last)
    if operator.inputs[2] is not None:
        yield ("in", 2, 0), ("out", 0, last)


def _emit_linear(operator: Operator, builder: Builder) -> None:
    x, weight, bias = (builder.input(operator, position) for position in range(3))
    outputs = operator.shape
    if len(outputs) == 2:
        builder.emit(operator, "Gemm", [x, weight, bias] if bias else [x, weight], transB=1)
    elif bias:
        # onnxruntime turns MatMul + Add into this as well, unless they are quantised.
        rows = builder.node("Reshape", [x, builder.integers((-1, operator.input_type(0).shape[-1]))])
        product = builder.node("Gemm", [rows, weight, bias], transB=1)
        builder.emit(operator, "Reshape", [product, builder.integers(outputs)])
    else:
        builder.emit(operator, "MatMul", [x, builder.node("Transpose", [weight], perm=(1, 0))])


def _bind_matmul(x: Symbol, y: Symbol) -> Binding:
    return Binding((x, y), {}, (type_of(torch.matmul, x, y),))


def _bind_batch_norm(
    x: Symbol,
    running_mean: Symbol | None,
    running_var: Symbol | None,
    weight: Symbol | None = None,
    bias: Symbol | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Binding:
    if training or running_mean is None or running_var is None or weight is None or bias is None:
        raise ValueError("batch norm is traced in eval mode, with statistics, weight and bias")
    return Binding((x, weight, bias, running_mean, running_var), {"epsilon": float(eps)}, (TensorType.of(x),))


def _couple_batch_norm(operator: Operator) -> Iterator[Tie]:
    for position in range(1, 5):
        yield ("in", position, 0), ("out", 0, 1)
    for axis in range(len(operator.shape)):
        yield ("in", 0, axis), ("out", 0, axis)


def _emit_batch_norm(operator: Operator, builder: Builder) -> None:
    fills = (0.0, 1.0, 0.0, 0.0, 1.0)
    names = [builder.input(operator, position, arbitrary=fill) for position, fill in enumerate(fills)]
    builder.emit(operator, "BatchNormalization", names, epsilon=operator.attributes["epsilon"])


register(
    Record(
        "conv", ("conv2d",), bind=_bind_conv, emit=partial(_emit_conv, "Conv"), macs=_conv_macs,
        label=_conv_label, couple=_couple_conv,
    )
)  # fmt: skip
register(
    Record(
        "conv_transpose", ("conv_transpose2d",), bind=_bind_conv_transpose,
        emit=partial(_emit_conv, "ConvTranspose"), macs=_conv_transpose_macs, label=_conv_label,
        couple=_couple_conv_transpose,
    )
)  # fmt: skip
register(
    Record(
        "linear", ("linear",), bind=_bind_linear, emit=_emit_linear, macs=_linear_macs, couple=_couple_linear
    )
)
register(
    Record("matmul", ("matmul", "bmm", "mm"), bind=_bind_matmul, emit=emit_as("MatMul"), macs=_linear_macs)
)
register(
    Record(
        "batch_norm", ("batch_norm",), bind=_bind_batch_norm, emit=_emit_batch_norm, couple=_couple_batch_norm
    )
)
