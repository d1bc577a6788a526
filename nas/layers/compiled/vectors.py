"""What no compiler writes by itself, in vectors: many sums that stay in registers over a whole row.

Functions for numba. All take flat arrays and the position in each where the first vector begins; constants of
the compiled code are told as the lengths of tuples (`constants`).
"""

from collections.abc import Callable
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

_Built = tuple[Any, Callable[..., Any]]

_PIXELS = 2
"""Neighbouring output pixels whose products `add_taps` adds in one turn of its loop."""

_WINDOWS = 6
"""Neighbouring output pixels that `slide_window` sums up together."""

_BYTES = 64 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 32
"""Of one vector. Every channel has sums of its own: the result does not depend on it."""

_ALIGNED = 4
"""Bytes that a tensor's values are aligned to at least."""


def constants(kernel: int, stride: int, dtype: str) -> tuple[tuple[int, ...], ...]:
    """Kernel, stride and channels of a vector, as the lengths of tuples."""
    return (0,) * kernel, (0,) * stride, (0,) * (_BYTES // np.dtype(dtype).itemsize)


class _Vectors:
    """Reads, writes and multiplies vectors of some flat arrays of one type."""

    def __init__(self, context: Any, builder: Any, array: Any, lanes: int) -> None:
        self._context, self._builder, self._array = context, builder, array
        self._number = context.get_value_type(array.dtype)
        self.kind = ir.VectorType(self._number, lanes)
        name = f"llvm.fmuladd.v{lanes}f{8 * self._number.get_abi_size(context.target_data)}"
        signature = ir.FunctionType(self.kind, [self.kind] * 3)
        self._fused = cgutils.get_or_insert_function(builder.module, signature, name)

    def load(self, array: Any, at: Any) -> Any:
        return self._builder.load(self._pointer(array, at), align=_ALIGNED)

    def store(self, value: Any, array: Any, at: Any) -> None:
        self._builder.store(value, self._pointer(array, at), align=_ALIGNED)

    def add_product(self, one: Any, two: Any, total: Any) -> None:
        """To a variable."""
        product = self._builder.call(self._fused, [one, two, self._builder.load(total)])
        self._builder.store(product, total)

    def _pointer(self, array: Any, at: Any) -> Any:
        data = self._context.make_array(self._array)(self._context, self._builder, array).data
        place = self._builder.gep(data, [at], source_etype=self._number)
        return self._builder.bitcast(place, self.kind.as_pointer())


def _integers(builder: Any, kind: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Sums and products of integer values, and of Python's own."""

    def value(number: Any) -> Any:
        return ir.Constant(kind, number) if isinstance(number, int) else number

    def add(one: Any, two: Any) -> Any:
        return builder.add(value(one), value(two))

    def times(one: Any, two: Any) -> Any:
        return builder.mul(value(one), value(two))

    return add, times


@intrinsic  # type: ignore[untyped-decorator]
def copy(context: Any, into: Any, at: Any, values: Any, source: Any, vector: Any) -> _Built:
    """One vector from one array to another."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        into, at, values, source, _ = args
        vectors = _Vectors(context, builder, signature.args[0], vector.count)
        vectors.store(vectors.load(values, source), into, at)
        return context.get_dummy_value()

    return numba.types.void(into, at, values, source, vector), build


@intrinsic  # type: ignore[untyped-decorator]
def add_taps(
    context: Any, sums: Any, at: Any, images: Any, source: Any, gradient: Any, place: Any,
    columns: Any, taps: Any, steps: Any, vector: Any,
) -> _Built:  # fmt: skip
    """Add the products of one row of the images and one row of the gradient to one row of the kernel."""
    kernel, stride, lanes = taps.count, steps.count, vector.count

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        sums, at, images, source, gradient, place, columns, *_ = args
        vectors = _Vectors(context, builder, signature.args[0], lanes)
        add, times = _integers(builder, at.type)
        kept = [add(at, j * lanes) for j in range(kernel)]
        totals = [cgutils.alloca_once_value(builder, vectors.load(sums, here)) for here in kept]

        def take(pixels: int, column: Any) -> None:
            x, y = add(source, times(column, stride * lanes)), add(place, times(column, lanes))
            reach = (pixels - 1) * stride + kernel
            values = [vectors.load(images, add(x, k * lanes)) for k in range(reach)]
            for pixel in range(pixels):
                slope = vectors.load(gradient, add(y, pixel * lanes))
                for j, total in enumerate(totals):
                    vectors.add_product(values[pixel * stride + j], slope, total)

        _in_turns(builder, columns, _PIXELS, take)
        for here, total in zip(kept, totals, strict=True):
            vectors.store(builder.load(total), sums, here)
        return context.get_dummy_value()

    signature = numba.types.void(sums, at, images, source, gradient, place, columns, taps, steps, vector)
    return signature, build


@intrinsic  # type: ignore[untyped-decorator]
def slide_window(
    context: Any, outputs: Any, at: Any, images: Any, source: Any, weight: Any, place: Any,
    line: Any, row: Any, first: Any, last: Any, columns: Any, taps: Any, steps: Any, vector: Any,
) -> _Built:  # fmt: skip
    """One row of a convolution, from some rows of the kernel.

    Row i of the window, from `first` to `last`, is row (row + i) % kernel of the images, `line` values each.
    """
    kernel, stride, lanes = taps.count, steps.count, vector.count

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        outputs, at, images, source, weight, place, line, row, first, last, columns, *_ = args
        vectors = _Vectors(context, builder, signature.args[0], lanes)
        add, times = _integers(builder, at.type)
        nought = ir.Constant(vectors.kind, None)
        rows = builder.sub(last, first)

        def take(pixels: int, column: Any) -> None:
            totals = [cgutils.alloca_once(builder, vectors.kind) for _ in range(pixels)]
            for total in totals:
                builder.store(nought, total)
            with cgutils.for_range(builder, rows) as turn:
                i = add(first, turn.index)
                held = builder.srem(add(row, i), ir.Constant(at.type, kernel))
                x = add(add(source, times(held, line)), times(column, stride * lanes))
                w = add(place, times(i, kernel * lanes))
                for j in range(kernel):
                    tap = vectors.load(weight, add(w, j * lanes))
                    for pixel, total in enumerate(totals):
                        value = vectors.load(images, add(x, (pixel * stride + j) * lanes))
                        vectors.add_product(value, tap, total)
            y = add(at, times(column, lanes))
            for pixel, total in enumerate(totals):
                vectors.store(builder.load(total), outputs, add(y, pixel * lanes))

        _in_turns(builder, columns, _WINDOWS, take)
        return context.get_dummy_value()

    signature = numba.types.void(
        outputs, at, images, source, weight, place, line, row, first, last, columns, taps, steps, vector
    )
    return signature, build


def _in_turns(builder: Any, columns: Any, pixels: int, take: Callable[[int, Any], None]) -> None:
    """Take so many columns at a time, and what is left one by one."""
    add, times = _integers(builder, columns.type)
    many = ir.Constant(columns.type, pixels)
    whole = builder.sdiv(columns, many)
    with cgutils.for_range(builder, whole) as turn:
        take(pixels, times(turn.index, pixels))
    with cgutils.for_range(builder, builder.srem(columns, many)) as turn:
        take(1, add(times(whole, pixels), turn.index))
