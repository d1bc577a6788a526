"""Operators on one tensor, entry by entry: activations, functions, casts."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from nas.graph.builder import NUMPY_TYPES, ONNX_TYPES, Builder, emit_as
from nas.graph.operator import Operator
from nas.graph.operators.arithmetic import tie_broadcast
from nas.graph.registry import Binding, Record, register
from nas.graph.symbols import Symbol, TensorType, infer


def _bind(x: Symbol, inplace: bool = False) -> Binding:
    """Activations may be marked in place: a trace has only what they return."""
    result = TensorType(x.shape, x.dtype)
    if not x.dtype.is_floating_point:
        raise TypeError(f"an activation or real function of {x.dtype}: cast to float beforehand")
    return Binding((x,), {}, (result,))


def _bind_numeric(x: Symbol) -> Binding:
    return Binding((x,), {}, (TensorType(x.shape, x.dtype),))


def _unary(kind: str, onnx_type: str, *functions: str, bind: Callable[..., Any] = _bind) -> None:
    register(Record(kind, (kind, *functions), bind=bind, emit=emit_as(onnx_type), couple=tie_broadcast))


def _number(builder: Builder, operator: Operator, value: float) -> str:
    return builder.array(np.asarray(value, NUMPY_TYPES[operator.output_types[0].dtype]))


def _emit_relu6(operator: Operator, builder: Builder) -> None:
    bounds = [_number(builder, operator, 0), _number(builder, operator, 6)]
    builder.emit(operator, "Clip", [builder.input(operator, 0), *bounds])


def _emit_silu(operator: Operator, builder: Builder) -> None:
    x = builder.input(operator, 0)
    builder.emit(operator, "Mul", [x, builder.node("Sigmoid", [x])])


def _emit_rsqrt(operator: Operator, builder: Builder) -> None:
    builder.emit(operator, "Reciprocal", [builder.node("Sqrt", [builder.input(operator, 0)])])


def _emit_square(operator: Operator, builder: Builder) -> None:
    x = builder.input(operator, 0)
    builder.emit(operator, "Mul", [x, x])


def _bind_leaky_relu(x: Symbol, negative_slope: float = 0.01, inplace: bool = False) -> Binding:
    return Binding((x,), {"alpha": float(negative_slope)}, (TensorType.of(x),))


def _bind_softmax(
    x: Symbol, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None
) -> Binding:
    if dim is None or dtype not in (None, x.dtype):
        raise ValueError("softmax needs its dim, and keeps the dtype of its input")
    return Binding((x,), {"axis": dim % x.ndim}, (TensorType.of(x),))


def _cast(x: Symbol, dtype: torch.dtype) -> Any:
    return x if x.dtype == dtype else Binding((x,), {}, (TensorType(x.shape, dtype),))


def _bind_to(x: Symbol, *args: Any, **kwargs: Any) -> Any:
    """`to` a dtype, a device or what another tensor has; devices are all the same here."""
    for target in (*args, *kwargs.values()):
        if isinstance(target, torch.dtype):
            return _cast(x, target)
        if isinstance(target, Symbol | torch.Tensor):
            return _cast(x, target.dtype)
    return x


def _bind_cast(dtype: torch.dtype, x: Symbol) -> Any:
    return _cast(x, dtype)


def _without_device(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in kwargs.items() if name != "device"}


def _emit_cast(operator: Operator, builder: Builder) -> None:
    dtype = operator.output_types[0].dtype
    builder.emit(operator, "Cast", [builder.input(operator, 0)], to=ONNX_TYPES[dtype])


def _bind_identity(x: Symbol, *args: Any, **kwargs: Any) -> Any:
    return x


def _bind_dropout(x: Symbol, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    if training:
        raise ValueError("dropout in training mode cannot be traced")
    return x


def _bind_filled(function: Callable[..., Any], x: Symbol, *args: Any, **kwargs: Any) -> torch.Tensor:
    """A tensor of equal entries, stored as one."""
    shadow = infer(function, x, *args, **_without_device(kwargs))
    name = function.__name__.removeprefix("new_")
    value = {"zeros_like": 0, "zeros": 0, "ones_like": 1, "ones": 1}.get(name)
    if value is None:
        value = kwargs.get("fill_value", args[-1] if args else None)
    return torch.tensor(value, dtype=shadow.dtype).expand(shadow.shape)


_unary("relu", "Relu")
_unary("hardswish", "HardSwish")
_unary("sigmoid", "Sigmoid")
_unary("tanh", "Tanh")
_unary("softplus", "Softplus")
_unary("exp", "Exp")
_unary("log", "Log")
_unary("sqrt", "Sqrt")
_unary("floor", "Floor")
_unary("ceil", "Ceil")
_unary("round", "Round")
_unary("erf", "Erf")
_unary("reciprocal", "Reciprocal")
_unary("sign", "Sign", "sgn", bind=_bind_numeric)
_unary("abs", "Abs", "absolute", bind=_bind_numeric)
_unary("neg", "Neg", "negative", bind=_bind_numeric)
for _kind, _emitter, _binder in (
    ("relu6", _emit_relu6, _bind),
    ("silu", _emit_silu, _bind),
    ("hardsigmoid", emit_as("HardSigmoid", alpha=1 / 6, beta=0.5), _bind),
    ("rsqrt", _emit_rsqrt, _bind),
    ("square", _emit_square, _bind_numeric),
    ("leaky_relu", emit_as("LeakyRelu"), _bind_leaky_relu),
):
    register(Record(_kind, (_kind,), bind=_binder, emit=_emitter, couple=tie_broadcast))
register(Record("softmax", ("softmax",), bind=_bind_softmax, emit=emit_as("Softmax")))
register(Record("log_softmax", ("log_softmax",), bind=_bind_softmax, emit=emit_as("LogSoftmax")))
CASTS: dict[str, Callable[..., Any]] = {
    "to": _bind_to,
    "type_as": _bind_to,
    "float": partial(_bind_cast, torch.float32),
    "double": partial(_bind_cast, torch.float64),
    "half": partial(_bind_cast, torch.float16),
    "long": partial(_bind_cast, torch.int64),
    "int": partial(_bind_cast, torch.int32),
    "bool": partial(_bind_cast, torch.bool),
}
for _name, _bind_name in CASTS.items():
    register(
        Record(f"cast_{_name}", (_name,), bind=_bind_name, emit=_emit_cast, label=lambda operator: "cast")
    )
register(Record("identity", ("contiguous", "clone", "detach", "cpu"), bind=_bind_identity))
register(Record("dropout", ("dropout", "dropout2d"), bind=_bind_dropout))
for _filled in (
    torch.zeros_like, torch.ones_like, torch.full_like,
    torch.Tensor.new_zeros, torch.Tensor.new_ones, torch.Tensor.new_full,
):  # fmt: skip
    register(Record(_filled.__name__, (_filled.__name__,), bind=partial(_bind_filled, _filled)))
