"""Operators that move entries around: reshapes, transposes, slices, joins, padding."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from nas.graph.builder import NUMPY_TYPES, Builder, emit_as
from nas.graph.operator import Operator
from nas.graph.registry import Binding, Containment, Record, Tie, register
from nas.graph.symbols import Symbol, TensorType, infer, type_of


def _bind_reshape(function: Callable[..., Any], x: Symbol, *args: Any, **kwargs: Any) -> Any:
    result = type_of(function, x, *args, **kwargs)
    return x if result.shape == x.shape else Binding((x,), {}, (result,))


def _reshaped(builder: Builder, name: str, shape: Sequence[int]) -> str:
    return builder.node("Reshape", [name, builder.integers(shape)])


def _emit_reshape(operator: Operator, builder: Builder) -> None:
    builder.emit(operator, "Reshape", [builder.input(operator, 0), builder.integers(operator.shape)])


def _permuted(x: Symbol, order: Sequence[int]) -> Any:
    order = tuple(axis % x.ndim for axis in order)
    if order == tuple(range(x.ndim)):
        return x
    shape = torch.Size(x.shape[axis] for axis in order)
    return Binding((x,), {"perm": order}, (TensorType(shape, x.dtype),))


def _bind_transpose(x: Symbol, dim0: int, dim1: int) -> Any:
    order = list(range(x.ndim))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return _permuted(x, order)


def _bind_t(x: Symbol) -> Any:
    return _permuted(x, range(x.ndim)[::-1])


def _bind_permute(x: Symbol, *dims: Any) -> Any:
    return _permuted(x, dims[0] if isinstance(dims[0], list | tuple) else dims)


Slices = tuple[tuple[int, int, int], ...]


def _bind_getitem(x: Symbol, index: Any) -> Any:
    """Slices, integers, None and Ellipsis; or one list or 1-D tensor of indices among whole slices."""
    parts = index if isinstance(index, tuple) else (index,)
    for position, part in enumerate(parts):
        if isinstance(part, list | torch.Tensor | Symbol):
            return _bind_take(x, parts, position)
    result = type_of(torch.Tensor.__getitem__, x, index)
    ranges = _ranges(x, parts)
    whole = all(
        (start, step, count) == (0, 1, size)
        for (start, step, count), size in zip(ranges, x.shape, strict=True)
    )
    if whole and result.shape == x.shape:
        return x
    return Binding((x,), {"ranges": ranges}, (result,))


def _ranges(x: Symbol, parts: tuple[Any, ...]) -> Slices:
    """(start, step, count) along each axis."""
    named = sum(part is not None and part is not Ellipsis for part in parts)
    ranges: list[tuple[int, int, int]] = []
    for part in parts:
        axis = len(ranges)
        if part is Ellipsis:
            ranges += [(0, 1, size) for size in x.shape[axis : axis + x.ndim - named]]
        elif isinstance(part, slice):
            start, stop, step = part.indices(x.shape[axis])
            ranges.append((start, step, len(range(start, stop, step))))
        elif part is not None:
            ranges.append((int(part) % x.shape[axis], 1, 1))
    return (*ranges, *((0, 1, size) for size in x.shape[len(ranges) :]))


def _bind_take(x: Symbol, parts: tuple[Any, ...], position: int) -> Binding:
    if any(part != slice(None) for part in (*parts[:position], *parts[position + 1 :])):
        raise ValueError("indexing by a tensor is traced along one axis only, with ':' for the others")
    index = parts[position]
    index = torch.tensor(index) if isinstance(index, list) else index
    if index.dtype == torch.bool:
        raise ValueError("indexing by a boolean mask gives no fixed shape; use torch.where or torch.topk")
    result = TensorType(x.shape[:position] + index.shape + x.shape[position + 1 :], x.dtype)
    return Binding((x, index), {"axis": position}, (result,))


def _bind_narrow(x: Symbol, dim: int, start: int, length: int) -> Any:
    dim %= x.ndim
    start %= max(x.shape[dim], 1)
    return _bind_getitem(x, (*(slice(None),) * dim, slice(start, start + length)))


def _bind_select(x: Symbol, dim: int, index: int) -> Any:
    return _bind_getitem(x, (*(slice(None),) * (dim % x.ndim), index))


def _bind_flip(x: Symbol, *dims: Any) -> Binding:
    flat = dims[0] if isinstance(dims[0], list | tuple) else dims
    axes = {dim % x.ndim for dim in flat}
    ranges = tuple(
        (size - 1, -1, size) if axis in axes else (0, 1, size) for axis, size in enumerate(x.shape)
    )
    return Binding((x,), {"ranges": ranges}, (TensorType.of(x),))


def _emit_slice(operator: Operator, builder: Builder) -> None:
    x = operator.input_type(0)
    name = builder.input(operator, 0)
    if len(operator.inputs) == 2:
        builder.emit(operator, "Gather", [name, builder.input(operator, 1)], axis=operator.attributes["axis"])
        return
    ranges: Slices = operator.attributes["ranges"]
    cut = [axis for axis, size in enumerate(x.shape) if ranges[axis] != (0, 1, size)]
    sliced = [count for _, _, count in ranges]
    if tuple(sliced) == tuple(operator.shape):
        builder.emit(operator, "Slice", [name, *_bounds(builder, ranges, cut)])
        return
    if cut:
        name = builder.node("Slice", [name, *_bounds(builder, ranges, cut)])
    builder.emit(operator, "Reshape", [name, builder.integers(operator.shape)])


def _bounds(builder: Builder, ranges: Slices, axes: Sequence[int]) -> list[str]:
    starts = [ranges[axis][0] for axis in axes]
    steps = [ranges[axis][1] for axis in axes]
    # A descending slice that includes entry 0 must stop before any valid index.
    stops = [
        start + step * count if step > 0 else np.iinfo(np.int64).min
        for start, step, count in (ranges[axis] for axis in axes)
    ]
    return [builder.integers(values) for values in (starts, stops, axes, steps)]


def _bind_split(function: Callable[..., Any], x: Symbol, *args: Any, **kwargs: Any) -> Binding:
    kept = kwargs.pop("split_size", None)
    parts = infer(function, x, *([kept] if kept is not None else []), *args, **kwargs)
    if function is torch.unbind:
        dim = kwargs.get("dim", args[0] if args else 0)
        sizes = [1] * len(parts)
    else:
        dim = kwargs.get("dim", args[1] if len(args) > 1 else 0)
        sizes = [part.shape[dim] for part in parts]
    attributes = {"axis": dim % x.ndim, "sizes": tuple(sizes)}
    return Binding((x,), attributes, parts, tuple)


def _emit_split(operator: Operator, builder: Builder) -> None:
    x = operator.input_type(0)
    axis, sizes = operator.attributes["axis"], operator.attributes["sizes"]
    name = builder.input(operator, 0)
    if len(operator.shape) == len(x.shape):
        builder.emit(operator, "Split", [name, builder.integers(sizes)], axis=axis)
        return
    for index, output in enumerate(operator.outputs):
        builder.give(output, "Gather", [name, builder.array(np.asarray(index, np.int64))], axis=axis)


def _bind_join(
    function: Callable[..., Any], tensors: Sequence[Symbol], dim: int = 0, **kwargs: Any
) -> Binding:
    dim = kwargs.get("axis", dim)
    result = type_of(function, list(tensors), dim)
    return Binding(tuple(tensors), {"axis": dim % len(result.shape)}, (result,))


def _emit_join(operator: Operator, builder: Builder) -> None:
    axis, result = operator.attributes["axis"], operator.output_types[0]
    names = []
    for position in range(len(operator.inputs)):
        type_ = operator.input_type(position)
        name = builder.cast(builder.input(operator, position, arbitrary=0.5), type_.dtype, result.dtype)
        if len(type_.shape) < len(result.shape):
            name = _reshaped(builder, name, (*type_.shape[:axis], 1, *type_.shape[axis:]))
        names.append(name)
    builder.emit(operator, "Concat", names, axis=axis)


def _tie_joined(operator: Operator) -> Iterator[Tie]:
    """All axes but that of the concatenation."""
    for position, axis in product(range(len(operator.inputs)), range(len(operator.shape))):
        if axis != operator.attributes["axis"]:
            yield ("in", position, axis), ("out", 0, axis)


def _parts_joined(operator: Operator) -> Iterator[Containment]:
    axis, start = operator.attributes["axis"], 0
    for position in range(len(operator.inputs)):
        yield ("in", position, axis), ("out", 0, axis), start
        start += operator.input_type(position).shape[axis]


def _emit_expand(operator: Operator, builder: Builder) -> None:
    builder.emit(operator, "Expand", [builder.input(operator, 0), builder.integers(operator.shape)])


def _bind_repeat(x: Symbol, *repeats: Any) -> Any:
    counts = tuple(repeats[0] if isinstance(repeats[0], list | tuple) else repeats)
    return Binding((x,), {"repeats": counts}, (type_of(torch.Tensor.repeat, x, *counts),))


def _emit_repeat(operator: Operator, builder: Builder) -> None:
    x = operator.input_type(0)
    repeats = operator.attributes["repeats"]
    name = builder.input(operator, 0)
    if len(repeats) > len(x.shape):
        name = _reshaped(builder, name, (*(1,) * (len(repeats) - len(x.shape)), *x.shape))
    builder.emit(operator, "Tile", [name, builder.integers(repeats)])


PAD_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}


def _bind_pad(x: Symbol, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Binding:
    if mode not in PAD_MODES:
        raise ValueError(f"padding mode {mode!r} has no ONNX form; known: {', '.join(PAD_MODES)}")
    attributes = {"pad": tuple(pad), "mode": mode, "value": value or 0.0}
    return Binding((x,), attributes, (type_of(F.pad, x, list(pad), mode, value),))


def _emit_pad(operator: Operator, builder: Builder) -> None:
    pad, rank = operator.attributes["pad"], len(operator.shape)
    begins, ends = [0] * rank, [0] * rank
    for position in range(len(pad) // 2):
        begins[rank - 1 - position], ends[rank - 1 - position] = pad[2 * position : 2 * position + 2]
    dtype = NUMPY_TYPES[operator.output_types[0].dtype]
    value: NDArray[Any] = np.asarray(operator.attributes["value"], dtype)
    names = [builder.input(operator, 0), builder.integers([*begins, *ends]), builder.array(value)]
    builder.emit(operator, "Pad", names, mode=PAD_MODES[operator.attributes["mode"]])


for _name in ("reshape", "view", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as"):
    register(
        Record(
            _name,
            (_name,),
            bind=partial(_bind_reshape, getattr(torch.Tensor, _name)),
            emit=_emit_reshape,
            label=lambda operator: "reshape",
        )
    )
for _name in ("expand", "expand_as", "broadcast_to"):
    register(
        Record(_name, (_name,), bind=partial(_bind_reshape, getattr(torch.Tensor, _name)), emit=_emit_expand)
    )
for _name, _function in (("split", torch.split), ("chunk", torch.chunk), ("unbind", torch.unbind)):
    register(Record(_name, (_name,), bind=partial(_bind_split, _function), emit=_emit_split))
register(
    Record(
        "cat", ("cat",), bind=partial(_bind_join, torch.cat), emit=_emit_join,
        couple=_tie_joined, contain=_parts_joined,
    )
)  # fmt: skip
register(Record("stack", ("stack",), bind=partial(_bind_join, torch.stack), emit=_emit_join))
register(Record("transpose", ("transpose", "swapaxes"), bind=_bind_transpose, emit=emit_as("Transpose")))
register(Record("t", ("t",), bind=_bind_t, emit=emit_as("Transpose")))
register(Record("permute", ("permute",), bind=_bind_permute, emit=emit_as("Transpose")))
register(Record("slice", ("getitem",), bind=_bind_getitem, emit=_emit_slice))
register(Record("narrow", ("narrow",), bind=_bind_narrow, emit=_emit_slice))
register(Record("select", ("select",), bind=_bind_select, emit=_emit_slice))
register(Record("flip", ("flip",), bind=_bind_flip, emit=_emit_slice))
register(Record("repeat", ("repeat",), bind=_bind_repeat, emit=_emit_repeat))
register(Record("pad", ("pad",), bind=_bind_pad, emit=_emit_pad))
