"""The registry: one record for each kind of operator."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from torch import Tensor

from nas.graph.builder import Builder
from nas.graph.operator import Operator
from nas.graph.symbols import Symbol, TensorType

OPERATOR_MODULES = ("arithmetic", "convolution", "layout", "pointwise", "reduction", "resample", "selection")

OperatorAxis = tuple[str, int, int]
"""("in" or "out", position among the operator's inputs or outputs, axis)."""
Tie = tuple[OperatorAxis, OperatorAxis]
"""Two axes whose entries correspond one to one."""
Containment = tuple[OperatorAxis, OperatorAxis, int]
"""An axis whose entries are a part of another's, that one, and from which of its entries on."""


class UnknownOperatorError(TypeError):
    """A network uses a torch function that has no record."""


def single(outputs: list[Any]) -> Any:
    return outputs[0]


@dataclass(frozen=True)
class Binding:
    """How one call of a torch function becomes an operator.

    Args:
        operands: its tensor arguments in the record's order; None for one left out.
        attributes: its other arguments.
        results: the types of what it gives (the shape rule).
        wrap: from the list of results to what the torch function returns.
    """

    operands: tuple[Symbol | Tensor | None, ...]
    attributes: Mapping[str, Any]
    results: tuple[TensorType, ...]
    wrap: Callable[[list[Any]], Any] = single


@dataclass(frozen=True)
class OperatorFeatures:
    """What the time of one operator is predicted from.

    Args:
        label: the kind, more finely told apart where the time differs ("conv.depthwise5").
        macs: multiply-accumulates.
        bytes_in, bytes_out, bytes_weights: sizes of edges read, edges written, constants read.
    """

    label: str
    macs: int
    bytes_in: int
    bytes_out: int
    bytes_weights: int


def _no_macs(binding: Binding) -> int:
    return 0


def _kind(operator: Operator) -> str:
    return operator.kind


def _nothing(operator: Operator, builder: Builder) -> None:
    raise ValueError(f"{operator.kind} is resolved while tracing and has no ONNX form")


@dataclass(frozen=True)
class Record:
    """All that is known of one kind of operator.

    Args:
        kind: its name.
        functions: names of the torch functions and methods that it stands for.
        bind: takes their arguments and gives a `Binding` (or, where nothing needs to be computed, the result
            itself).
        emit: adds its ONNX nodes to a builder.
        macs: counts multiply-accumulates.
        label: the kind that latency features go by.
        couple: pairs of axes whose entries correspond one to one; None where none can be reordered.
        contain: axes whose entries are a part of another axis, and from which of its entries on.
    """

    kind: str
    functions: tuple[str, ...]
    bind: Callable[..., Any]
    emit: Callable[[Operator, Builder], None] = _nothing
    macs: Callable[[Binding], int] = _no_macs
    label: Callable[[Operator], str] = _kind
    couple: Callable[[Operator], Iterable[Tie]] | None = None
    contain: Callable[[Operator], Iterable[Containment]] | None = None


_RECORDS: dict[str, Record] = {}
_BY_FUNCTION: dict[str, Record] = {}
_REFLECTED = {f"r{name}": name for name in ("add", "sub", "mul", "div", "pow", "matmul")}
_SPELLINGS = {"truediv": "div", "rtruediv": "rdiv", "mod": "remainder", "floordiv": "floor_divide"}


def register(record: Record) -> Record:
    """Make a kind known. Raises ValueError where it, or one of its functions, is known already."""
    if record.kind in _RECORDS:
        raise ValueError(f"operator kind {record.kind!r} is registered already")
    for function in record.functions:
        if function in _BY_FUNCTION:
            raise ValueError(f"function {function!r} belongs to {_BY_FUNCTION[function].kind!r} already")
    _RECORDS[record.kind] = record
    _BY_FUNCTION.update(dict.fromkeys(record.functions, record))
    return record


def record_of(kind: str) -> Record:
    """The record of an operator kind."""
    _load()
    return _RECORDS[kind]


def kinds() -> tuple[str, ...]:
    """All registered kinds."""
    _load()
    return tuple(sorted(_RECORDS))


@cache
def find(function: Callable[..., Any]) -> tuple[Record, bool]:
    """The record of a torch function, and whether its two arguments are to be swapped (`1 - x`).

    Raises:
        UnknownOperatorError: there is none.
    """
    _load()
    name = getattr(function, "__name__", repr(function)).strip("_")
    name = _SPELLINGS.get(name, name)
    reflected = name in _REFLECTED
    record = _BY_FUNCTION.get(_REFLECTED.get(name, name))
    if record is None or getattr(function, "__name__", "").endswith(f"{name}_"):
        raise UnknownOperatorError(
            f"torch function {getattr(function, '__name__', function)!r} has no operator record; "
            "register one in nas.graph.operators"
        )
    return record, reflected


def features(operator: Operator) -> OperatorFeatures:
    """Latency features of an operator."""
    return OperatorFeatures(
        label=record_of(operator.kind).label(operator),
        macs=operator.macs,
        bytes_in=sum(
            t.bytes
            for s, t in zip(operator.inputs, operator.input_types, strict=True)
            if t is not None and isinstance(s, int)
        ),
        bytes_out=sum(t.bytes for t in operator.output_types),
        bytes_weights=sum(constant.type.bytes for constant in operator.constants),
    )


@cache
def _load() -> None:
    for module in OPERATOR_MODULES:
        import_module(f"nas.graph.operators.{module}")
