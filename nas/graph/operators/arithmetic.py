"""Operators on two (or three) tensors that broadcast: arithmetic, comparison, logic, selection by mask."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

from nas.graph.builder import NUMPY_TYPES, Builder
from nas.graph.operator import Operator
from nas.graph.registry import Binding, Record, Tie, register
from nas.graph.symbols import Symbol, TensorType, infer, type_of

Operand = Symbol | torch.Tensor | float | int | bool


def common_type(x: Operand, y: Operand) -> torch.dtype:
    """The dtype in which torch computes with these two."""
    dtype: torch.dtype = infer(torch.result_type, x, y)
    return dtype


def as_tensor(operand: Operand, dtype: torch.dtype) -> Symbol | torch.Tensor:
    """The operand itself, or a Python number as a tensor of that dtype."""
    return operand if isinstance(operand, Symbol | torch.Tensor) else torch.tensor(operand, dtype=dtype)


def tie_broadcast(operator: Operator) -> Iterator[Tie]:
    """Every axis of every input with the same axis of the output, unless it is broadcast."""
    shape = operator.output_types[0].shape
    for position, type_ in enumerate(operator.input_types):
        if type_ is None:
            continue
        offset = len(shape) - len(type_.shape)
        for axis, size in enumerate(type_.shape):
            if size == shape[axis + offset]:
                yield ("in", position, axis), ("out", 0, axis + offset)


def inputs_as(operator: Operator, builder: Builder, dtype: torch.dtype, *positions: int) -> list[str]:
    """The names of inputs that broadcast, cast to one dtype."""
    names = []
    for position in positions or range(len(operator.inputs)):
        have = operator.input_type(position).dtype
        names.append(builder.cast(builder.broadcast(operator, position), have, dtype))
    return names


def _bind(
    function: Callable[..., Any], x: Operand, y: Operand, *, alpha: float = 1, **options: Any
) -> Binding:
    if alpha != 1:
        raise ValueError(f"{function.__name__} with alpha is not supported: multiply beforehand")
    result = type_of(function, x, y, **options)
    dtype = common_type(x, y)
    if result.dtype.is_floating_point and not dtype.is_floating_point:
        dtype = result.dtype
    operands = (as_tensor(x, dtype), as_tensor(y, dtype))
    return Binding(operands, {"dtype": dtype, **options}, (result,))


def _emit(type_: str, operator: Operator, builder: Builder) -> None:
    builder.emit(operator, type_, inputs_as(operator, builder, operator.attributes["dtype"]))


def _binary(kind: str, onnx_type: str, function: Callable[..., Any], *functions: str) -> None:
    register(
        Record(
            kind=kind,
            functions=(kind, *functions),
            bind=partial(_bind, function),
            emit=partial(_emit, onnx_type),
            couple=tie_broadcast,
        )
    )


def _floor_quotient(builder: Builder, names: list[str], dtype: torch.dtype) -> str:
    if dtype.is_floating_point:
        return builder.node("Floor", [builder.node("Div", names)])
    # ONNX divides integers towards zero, torch floors: so the remainder, of the divisor's sign, goes first.
    remainder = builder.node("Mod", names)
    return builder.node("Div", [builder.node("Sub", [names[0], remainder]), names[1]])


def _emit_div(operator: Operator, builder: Builder) -> None:
    dtype = operator.attributes["dtype"]
    names = inputs_as(operator, builder, dtype)
    rounding = operator.attributes.get("rounding_mode")
    if rounding is None or (rounding == "trunc" and not dtype.is_floating_point):
        builder.emit(operator, "Div", names)
    elif rounding == "floor":
        builder.emit(operator, "Identity", [_floor_quotient(builder, names, dtype)])
    else:
        raise ValueError(
            f"{operator.scope}: division with rounding_mode {rounding!r} of {dtype} has no ONNX form"
        )


def _emit_remainder(operator: Operator, builder: Builder) -> None:
    dtype = operator.attributes["dtype"]
    names = inputs_as(operator, builder, dtype)
    if not dtype.is_floating_point:
        builder.emit(operator, "Mod", names)
        return
    whole = builder.node("Mul", [_floor_quotient(builder, names, dtype), names[1]])
    builder.emit(operator, "Sub", [names[0], whole])


def _bind_floor_divide(x: Operand, y: Operand) -> Binding:
    return _bind(torch.div, x, y, rounding_mode="floor")


def _emit_ne(operator: Operator, builder: Builder) -> None:
    equal = builder.node("Equal", inputs_as(operator, builder, operator.attributes["dtype"]))
    builder.emit(operator, "Not", [equal])


def _bind_where(condition: Symbol, x: Operand, y: Operand) -> Binding:
    dtype = common_type(x, y)
    operands = (condition, as_tensor(x, dtype), as_tensor(y, dtype))
    return Binding(operands, {"dtype": dtype}, (type_of(torch.where, condition, x, y),))


def _bind_masked_fill(x: Symbol, mask: Symbol, value: float) -> Binding:
    shape = infer(torch.where, mask, x, x).shape
    return Binding(
        (mask, torch.tensor(value, dtype=x.dtype), x), {"dtype": x.dtype}, (TensorType(shape, x.dtype),)
    )


def _emit_where(operator: Operator, builder: Builder) -> None:
    chosen = inputs_as(operator, builder, operator.attributes["dtype"], 1, 2)
    builder.emit(operator, "Where", [builder.broadcast(operator, 0), *chosen])


def _bind_clamp(x: Symbol, min: float | None = None, max: float | None = None) -> Binding:
    if isinstance(min, Symbol | torch.Tensor) or isinstance(max, Symbol | torch.Tensor):
        raise TypeError("clamp takes numbers as bounds; use torch.maximum and torch.minimum for tensors")
    return Binding((x,), {"min": min, "max": max}, (type_of(torch.clamp, x, min, max),))


def _emit_clamp(operator: Operator, builder: Builder) -> None:
    result = operator.output_types[0].dtype
    (name,) = inputs_as(operator, builder, result)
    bounds = [
        "" if bound is None else builder.array(np.asarray(bound, NUMPY_TYPES[result]))
        for bound in (operator.attributes["min"], operator.attributes["max"])
    ]
    builder.emit(operator, "Clip", [name, *bounds])


def _bind_boolean(function: Callable[..., Any], x: Operand, y: Operand) -> Binding:
    if any(isinstance(o, Symbol | torch.Tensor) and o.dtype != torch.bool for o in (x, y)):
        raise TypeError(f"{function.__name__} takes boolean tensors only")
    return _bind(function, x, y)


def _bind_not(x: Symbol) -> Binding:
    if x.dtype != torch.bool:
        raise TypeError("logical not takes boolean tensors only")
    return Binding((x,), {"dtype": torch.bool}, (TensorType.of(x),))


_binary("add", "Add", torch.add, "iadd")
_binary("sub", "Sub", torch.sub, "isub", "subtract")
_binary("mul", "Mul", torch.mul, "imul", "multiply")
_binary("pow", "Pow", torch.pow)
_binary("maximum", "Max", torch.maximum)
_binary("minimum", "Min", torch.minimum)
_binary("eq", "Equal", torch.eq)
_binary("lt", "Less", torch.lt, "less")
_binary("le", "LessOrEqual", torch.le, "less_equal")
_binary("gt", "Greater", torch.gt, "greater")
_binary("ge", "GreaterOrEqual", torch.ge, "greater_equal")
for _kind, _onnx, _function in (
    ("and", "And", torch.logical_and), ("or", "Or", torch.logical_or), ("xor", "Xor", torch.logical_xor)
):  # fmt: skip
    register(
        Record(
            kind=_kind,
            functions=(_kind, f"logical_{_kind}", f"bitwise_{_kind}"),
            bind=partial(_bind_boolean, _function),
            emit=partial(_emit, _onnx),
        )
    )
register(Record("not", ("invert", "logical_not", "bitwise_not"), bind=_bind_not, emit=partial(_emit, "Not")))
register(
    Record(
        "div",
        ("div", "divide", "true_divide"),
        partial(_bind, torch.div),
        emit=_emit_div,
        couple=tie_broadcast,
    )
)
register(Record("floor_divide", ("floor_divide",), bind=_bind_floor_divide, emit=_emit_div))
register(Record("remainder", ("remainder",), bind=partial(_bind, torch.remainder), emit=_emit_remainder))
register(Record("ne", ("ne", "not_equal"), bind=partial(_bind, torch.ne), emit=_emit_ne))
register(Record("where", ("where",), bind=_bind_where, emit=_emit_where))
register(Record("masked_fill", ("masked_fill",), bind=_bind_masked_fill, emit=_emit_where))
register(Record("clamp", ("clamp", "clip"), bind=_bind_clamp, emit=_emit_clamp, couple=tie_broadcast))
