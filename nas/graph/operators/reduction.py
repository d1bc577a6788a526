"""Operators that reduce axes: sums, means, extrema and their indices."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from nas.graph.builder import Builder
from nas.graph.operator import Operator
from nas.graph.registry import Binding, Record, register
from nas.graph.symbols import Symbol, infer, type_of

Dim = int | Sequence[int] | None

_AXES_ARE_INPUTS = 18
"""From this opset on; those of sums are since 13."""


def _axes(x: Symbol, dim: Dim) -> tuple[int, ...]:
    dims = range(x.ndim) if dim is None or dim == () else [dim] if isinstance(dim, int) else dim
    return tuple(axis % x.ndim for axis in dims)


def _bind(
    function: Callable[..., Any],
    x: Symbol,
    dim: Dim = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
    axis: Dim = None,
) -> Binding:
    dim = axis if dim is None else dim
    axes = _axes(x, dim)
    options = {} if dtype is None else {"dtype": dtype}
    result = type_of(function, x, axes, keepdim, **options)
    return Binding((x,), {"axes": axes, "keepdim": keepdim}, (result,))


def _emit(type_: str, operator: Operator, builder: Builder) -> None:
    have, want = operator.input_type(0).dtype, operator.output_types[0].dtype
    name = builder.cast(builder.input(operator, 0), have, want)
    _reduce(type_, name, operator, builder)


def _reduce(type_: str, name: str, operator: Operator, builder: Builder) -> None:
    axes, keep = operator.attributes["axes"], int(operator.attributes["keepdim"])
    names, attributes = _along(type_, name, axes, builder)
    builder.emit(operator, type_, names, **attributes, keepdims=keep)


def _along(
    type_: str, name: str, axes: Sequence[int], builder: Builder
) -> tuple[list[str], dict[str, Sequence[int]]]:
    """Inputs and attributes of a reduction along axes."""
    if type_ == "ReduceSum" or builder.opset >= _AXES_ARE_INPUTS:
        return [name, builder.integers(axes)], {}
    return [name], {"axes": axes}


def _bind_norm(
    x: Symbol,
    p: Any = 2,
    dim: Dim = None,
    keepdim: bool = False,
    out: None = None,
    dtype: torch.dtype | None = None,
) -> Binding:
    if p not in (2, "fro", None) or dtype not in (None, x.dtype):
        raise ValueError(f"norm of order {p!r}: only the Euclidean norm has a record")
    return _bind(torch.sum, x, dim, keepdim)


def _bind_vector_norm(
    x: Symbol, ord: float = 2, dim: Dim = None, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> Binding:
    return _bind_norm(x, ord, dim, keepdim, dtype=dtype)


def _bind_index(
    function: Callable[..., Any], x: Symbol, dim: int | None = None, keepdim: bool = False
) -> Binding:
    axis = None if dim is None else dim % x.ndim
    result = type_of(function, x, dim, keepdim)
    return Binding((x,), {"axis": axis, "keepdim": keepdim}, (result,))


def _emit_index(type_: str, operator: Operator, builder: Builder) -> None:
    axis, keep = operator.attributes["axis"], int(operator.attributes["keepdim"])
    name = builder.input(operator, 0)
    if axis is not None:
        builder.emit(operator, type_, [name], axis=axis, keepdims=keep)
        return
    flat = builder.node("Reshape", [name, builder.integers((-1,))])
    index = builder.node(type_, [flat], axis=0, keepdims=0)
    builder.emit(operator, "Reshape", [index, builder.integers(operator.shape)])


def _bind_extremum(
    function: Callable[..., Any],
    both: Callable[..., Any],
    x: Symbol,
    dim: Any = None,
    keepdim: bool = False,
) -> Any:
    """`torch.max` in its three forms: of all entries, along an axis with indices, of two tensors."""
    if dim is None:
        return _bind(torch.amax if function is torch.max else torch.amin, x)
    if isinstance(dim, Symbol | torch.Tensor):
        return both(x, dim)
    values, indices = infer(function, x, dim, keepdim)
    forms: Any = torch.return_types
    wrap = forms.max if function is torch.max else forms.min
    attributes = {"axes": (dim % x.ndim,), "axis": dim % x.ndim, "keepdim": keepdim}
    return Binding((x,), attributes, (values, indices), wrap)


def _emit_extremum(value_type: str, index_type: str, operator: Operator, builder: Builder) -> None:
    name = builder.input(operator, 0)
    if len(operator.outputs) == 1:
        _reduce(value_type, name, operator, builder)
        return
    axes, keep = operator.attributes["axes"], int(operator.attributes["keepdim"])
    names, attributes = _along(value_type, name, axes, builder)
    builder.give(operator.outputs[0], value_type, names, **attributes, keepdims=keep)
    builder.give(operator.outputs[1], index_type, [name], axis=axes[0], keepdims=keep)


for _kind, _onnx, _function in (
    ("sum", "ReduceSum", torch.sum),
    ("mean", "ReduceMean", torch.mean),
    ("amax", "ReduceMax", torch.amax),
    ("amin", "ReduceMin", torch.amin),
):
    register(Record(_kind, (_kind,), bind=partial(_bind, _function), emit=partial(_emit, _onnx)))
register(Record("norm", ("norm",), bind=_bind_norm, emit=partial(_emit, "ReduceL2")))
register(
    Record("vector_norm", ("linalg_vector_norm",), bind=_bind_vector_norm, emit=partial(_emit, "ReduceL2"))
)
for _kind, _onnx, _index in (("argmax", "ArgMax", torch.argmax), ("argmin", "ArgMin", torch.argmin)):
    register(Record(_kind, (_kind,), bind=partial(_bind_index, _index), emit=partial(_emit_index, _onnx)))
for _kind, _extremum, _both, _value, _arg in (
    ("max", torch.max, torch.maximum, "ReduceMax", "ArgMax"),
    ("min", torch.min, torch.minimum, "ReduceMin", "ArgMin"),
):
    register(
        Record(
            _kind, (_kind,), bind=partial(_bind_extremum, _extremum, _both),
            emit=partial(_emit_extremum, _value, _arg),
        )
    )  # fmt: skip
