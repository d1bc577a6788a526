"""The loop of the weight gradient of depthwise convolutions.

Rows of both tensors are read as they lie in memory, channels last, and copied so that the channels of one
vector register lie next to each other and the images have their padding: no window has edges, and the rows
that windows share lie in the cache. All taps of one row of the kernel then stay in registers while it passes
over a row of the map. No compiler does this by itself (sums would be kept in memory), so that this innermost
part is written in vectors.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from nas.layers.compiled.jit import flat, jit
from nas.layers.compiled.parts import PARTS, Array

_Built = tuple[tuple[Any, Any], Callable[..., Any]]

_PIXELS = 2
"""Neighbouring output pixels whose products one turn of the innermost loop adds."""

_BYTES = 64 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 32
"""Of one vector. Every channel has sums of its own: the result does not depend on it."""

_ALIGNED = 4
"""Bytes that a tensor's values are aligned to at least."""


@cache
def taps(kernel: int, stride: int, dtype: str) -> Callable[..., None]:
    """Called with (images, gradient, sums, inputs, outputs, begin, end).

    Adds to `sums` [PARTS, C, kernel * kernel] the products of images and gradient, of the parts from `begin`
    to `end`. All three are flat; `inputs` and `outputs` are the former two's shapes [B, H, W, C].
    """
    lanes = _BYTES // np.dtype(dtype).itemsize
    # Constants of the compiled code are told as the lengths of tuples.
    constants = (0,) * kernel, (0,) * stride, (0,) * lanes
    lengths = [numba.types.UniTuple(numba.types.int64, len(constant)) for constant in constants]
    shape = numba.types.UniTuple(numba.types.int64, 4)
    loop = jit(_loop, *[flat(dtype)] * 3, shape, shape, numba.types.int64, numba.types.int64, *lengths)
    return lambda *arguments: loop(*arguments, *constants)


def _loop(
    images: Array,
    gradient: Array,
    sums: Array,
    inputs: tuple[int, ...],
    outputs: tuple[int, ...],
    begin: int,
    end: int,
    taps: tuple[int, ...],
    steps: tuple[int, ...],
    vector: tuple[int, ...],
) -> None:
    batch, height, width, channels = inputs
    rows, columns = outputs[1], outputs[2]
    kernel, stride, lanes = len(taps), len(steps), len(vector)
    reach = kernel // 2
    blocks = (channels + lanes - 1) // lanes
    line = (width + 2 * reach) * lanes
    # Of the images' rows those that a window reaches: row r lies at r % kernel.
    ring = np.zeros(kernel * blocks * line, images.dtype)
    slopes = np.zeros(blocks * columns * lanes, images.dtype)
    totals = np.empty(blocks * kernel * kernel * lanes, images.dtype)
    for part in range(begin, end):
        totals[:] = 0
        for image in range(batch * part // PARTS, batch * (part + 1) // PARTS):
            held = 0
            for row in range(rows):
                while held < min(height, row * stride + kernel - reach):
                    at = held % kernel * blocks * line + reach * lanes
                    _spread(ring, at, line, images, (image * height + held) * width, width, channels, vector)
                    held += 1
                source = (image * rows + row) * columns
                _spread(slopes, 0, columns * lanes, gradient, source, columns, channels, vector)
                first = max(0, reach - row * stride)
                last = min(kernel, height + reach - row * stride)
                for block in range(blocks):
                    for i in range(first, last):
                        _add_taps(
                            totals, (block * kernel + i) * kernel * lanes,
                            ring, ((row * stride + i - reach) % kernel * blocks + block) * line,
                            slopes, block * columns * lanes,
                            columns, taps, steps, vector,
                        )  # fmt: skip
        for channel in range(channels):
            for tap in range(kernel * kernel):
                place = (channel // lanes * kernel * kernel + tap) * lanes + channel % lanes
                sums[(part * channels + channel) * kernel * kernel + tap] += totals[place]


@numba.njit  # type: ignore[untyped-decorator]
def _spread(
    into: Array, at: int, distance: int, values: Array, source: int, pixels: int, channels: int,
    vector: tuple[int, ...],
) -> None:  # fmt: skip
    """Copy neighbouring pixels so that each vector's channels lie next to each other, `distance` apart."""
    lanes = len(vector)
    whole = channels // lanes
    for pixel in range(pixels):
        start, to = (source + pixel) * channels, at + pixel * lanes
        for block in range(whole):
            _copy(into, to + block * distance, values, start + block * lanes, vector)
        # What lies beyond the last channel stays zero.
        for channel in range(whole * lanes, channels):
            into[to + whole * distance + channel - whole * lanes] = values[start + channel]


@intrinsic  # type: ignore[untyped-decorator]
def _copy(context: Any, into: Any, at: Any, values: Any, source: Any, vector: Any) -> _Built:
    """One vector from one flat array to another."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        into, at, values, source, _ = args
        here = _pointer(context, builder, signature.args[2], values, source, vector.count)
        there = _pointer(context, builder, signature.args[0], into, at, vector.count)
        builder.store(builder.load(here, align=_ALIGNED), there, align=_ALIGNED)
        return context.get_dummy_value()

    return numba.types.void(into, at, values, source, vector), build


@intrinsic  # type: ignore[untyped-decorator]
def _add_taps(
    context: Any, sums: Any, at: Any, images: Any, source: Any, gradient: Any, place: Any,
    columns: Any, taps: Any, steps: Any, vector: Any,
) -> _Built:  # fmt: skip
    """Add the products of one row of the map to the sums of one row of the kernel."""
    kernel, stride, lanes = taps.count, steps.count, vector.count

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        sums, at, images, source, gradient, place, columns, *_ = args
        integer = at.type

        def constant(value: int) -> Any:
            return ir.Constant(integer, value)

        def pointer(number: int, array: Any, offset: Any) -> Any:
            return _pointer(context, builder, signature.args[number], array, offset, lanes)

        def load(number: int, array: Any, offset: Any) -> Any:
            return builder.load(pointer(number, array, offset), align=_ALIGNED)

        number = context.get_value_type(signature.args[0].dtype)
        kind = ir.VectorType(number, lanes)
        name = f"llvm.fmuladd.v{lanes}f{8 * number.get_abi_size(context.target_data)}"
        fused = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), name)
        kept = [builder.add(at, constant(j * lanes)) for j in range(kernel)]
        held = []
        for offset in kept:
            value = load(0, sums, offset)
            held.append(cgutils.alloca_once_value(builder, value))

        def add(pixels: int, x: Any, y: Any) -> None:
            values = [
                load(2, images, builder.add(x, constant(k * lanes)))
                for k in range((pixels - 1) * stride + kernel)
            ]
            for pixel in range(pixels):
                slope = load(4, gradient, builder.add(y, constant(pixel * lanes)))
                for j, tap in enumerate(held):
                    product = [values[pixel * stride + j], slope, builder.load(tap)]
                    builder.store(builder.call(fused, product), tap)

        whole = builder.sdiv(columns, constant(_PIXELS))
        rest = builder.srem(columns, constant(_PIXELS))
        with cgutils.for_range(builder, whole) as turn:
            x = builder.add(source, builder.mul(turn.index, constant(_PIXELS * stride * lanes)))
            y = builder.add(place, builder.mul(turn.index, constant(_PIXELS * lanes)))
            add(_PIXELS, x, y)
        done = builder.mul(whole, constant(_PIXELS))
        with cgutils.for_range(builder, rest) as turn:
            column = builder.add(done, turn.index)
            x = builder.add(source, builder.mul(column, constant(stride * lanes)))
            y = builder.add(place, builder.mul(column, constant(lanes)))
            add(1, x, y)
        for offset, tap in zip(kept, held, strict=True):
            builder.store(builder.load(tap), pointer(0, sums, offset), align=_ALIGNED)
        return context.get_dummy_value()

    signature = numba.types.void(sums, at, images, source, gradient, place, columns, taps, steps, vector)
    return signature, build


def _pointer(context: Any, builder: Any, kind: Any, array: Any, offset: Any, lanes: int) -> Any:
    """Of the vector that begins at an offset of a flat array."""
    data = context.make_array(kind)(context, builder, array).data
    number = context.get_value_type(kind.dtype)
    place = builder.gep(data, [offset], source_etype=number)
    return builder.bitcast(place, ir.VectorType(number, lanes).as_pointer())
