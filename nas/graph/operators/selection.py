"""Operators that choose entries by value or by index."""

from typing import Any

import torch

from nas.graph.builder import Builder
from nas.graph.operator import Operator
from nas.graph.registry import Binding, Record, register
from nas.graph.symbols import Symbol, infer, type_of


def _bind_topk(
    x: Symbol, k: int, dim: int = -1, largest: bool = True, sorted: bool = True, *, out: None = None
) -> Binding:
    values, indices = infer(torch.topk, x, k, dim)
    attributes = {"k": k, "axis": dim % x.ndim, "largest": int(largest), "sorted": int(sorted)}
    forms: Any = torch.return_types
    return Binding((x,), attributes, (values, indices), forms.topk)


def _emit_topk(operator: Operator, builder: Builder) -> None:
    attributes = dict(operator.attributes)
    count = builder.integers((attributes.pop("k"),))
    builder.emit(operator, "TopK", [builder.input(operator, 0), count], **attributes)


def _bind_gather(x: Symbol, dim: int, index: Symbol, *, sparse_grad: bool = False) -> Binding:
    return Binding((x, index), {"axis": dim % x.ndim}, (type_of(torch.gather, x, dim, index),))


def _emit_gather(operator: Operator, builder: Builder) -> None:
    x, index = operator.input_type(0), operator.input_type(1)
    axis = operator.attributes["axis"]
    names = [builder.input(operator, 0, arbitrary=0.5), builder.input(operator, 1)]
    cut = [a for a in range(len(x.shape)) if a != axis and index.shape[a] != x.shape[a]]
    if cut:  # torch lets the index be smaller along the other axes, ONNX does not
        bounds = ([0] * len(cut), [index.shape[a] for a in cut], cut)
        names[0] = builder.node("Slice", [names[0], *(builder.integers(part) for part in bounds)])
    builder.emit(operator, "GatherElements", names, axis=axis)


def _bind_index_select(x: Symbol, dim: int, index: Symbol) -> Binding:
    return Binding((x, index), {"axis": dim % x.ndim}, (type_of(torch.index_select, x, dim, index),))


def _emit_index_select(operator: Operator, builder: Builder) -> None:
    names = [builder.input(operator, 0, arbitrary=0.5), builder.input(operator, 1)]
    builder.emit(operator, "Gather", names, axis=operator.attributes["axis"])


register(Record("topk", ("topk",), bind=_bind_topk, emit=_emit_topk))
register(Record("gather", ("gather",), bind=_bind_gather, emit=_emit_gather))
register(Record("index_select", ("index_select",), bind=_bind_index_select, emit=_emit_index_select))
