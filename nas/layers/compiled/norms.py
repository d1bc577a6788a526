"""Loops of batch norm with the activation behind it.

The innermost loop runs over channels, so that the compiler turns it into vector instructions; unsigned
positions spare it the test for negative ones. Each loop takes the number of images and their length (values),
so that it knows the parts of a share (`PARTS`). Values are summed in their own type over `_RUN`
pixels, and these sums in float64.
"""

from functools import cache
from typing import Any

import numba
import numpy as np

from nas.layers.compiled.jobs import Loop, array, contracted, number, shares
from nas.layers.compiled.parts import PARTS, Array

_RUN = 64

_at = np.uint64


@cache
def statistics(dtype: str) -> Loop:
    """Called with (values, shift, sums, images, length).

    Adds to `sums` [PARTS, 2, C] what values less `shift` [C] and their squares sum up to in each part.
    """
    kind = np.dtype(dtype).type

    def work(job: Any) -> None:
        for begin, end in shares(job):
            values, shift, sums = array(job, 0, kind), array(job, 1, kind), array(job, 2, np.float64)
            _statistics(values, shift, sums, number(job, 3), number(job, 4), begin, end)

    return Loop(work)


@cache
def normalise(dtype: str) -> Loop:
    """Called with (values, outputs, scale, offset, bounds, images, length).

    Writes value * scale + offset of each channel, cut to the two bounds.
    """
    kind = np.dtype(dtype).type

    def work(job: Any) -> None:
        for begin, end in shares(job):
            values, outputs = array(job, 0, kind), array(job, 1, kind)
            scale, offset, bounds = array(job, 2, kind), array(job, 3, kind), array(job, 4, kind)
            _normalise(values, outputs, scale, offset, bounds, number(job, 5), number(job, 6), begin, end)

    return Loop(work)


@cache
def slopes(dtype: str) -> Loop:
    """Called with (values, gradient, scale, offset, bounds, mean, sums, images, length).

    Adds to `sums` [PARTS, 2, C] the gradient and gradient * (value - mean), where the output was not cut.
    """
    kind = np.dtype(dtype).type

    def work(job: Any) -> None:
        for begin, end in shares(job):
            values, gradient = array(job, 0, kind), array(job, 1, kind)
            scale, offset, bounds = array(job, 2, kind), array(job, 3, kind), array(job, 4, kind)
            mean, sums = array(job, 5, kind), array(job, 6, np.float64)
            images, length = number(job, 7), number(job, 8)
            _slopes(values, gradient, scale, offset, bounds, mean, sums, images, length, begin, end)

    return Loop(work)


@cache
def backward(dtype: str) -> Loop:
    """Called with (values, gradient, outputs, scale, offset, bounds, mean, slope, constant, images, length).

    Writes gradient * scale + (value - mean) * slope + constant; where the output was cut, gradient is zero.
    """
    kind = np.dtype(dtype).type

    def work(job: Any) -> None:
        for begin, end in shares(job):
            values, gradient, outputs = array(job, 0, kind), array(job, 1, kind), array(job, 2, kind)
            scale, offset, bounds = array(job, 3, kind), array(job, 4, kind), array(job, 5, kind)
            mean, slope, constant = array(job, 6, kind), array(job, 7, kind), array(job, 8, kind)
            _backward(
                values, gradient, outputs, scale, offset, bounds, mean, slope, constant,
                number(job, 9), number(job, 10), begin, end,
            )  # fmt: skip

    return Loop(work)


@contracted  # type: ignore[untyped-decorator]
def _statistics(
    values: Array, shift: Array, sums: Array, images: int, length: int, begin: int, end: int
) -> None:
    channels = len(shift)
    one, two = np.zeros(channels, values.dtype), np.zeros(channels, values.dtype)
    for part in range(begin, end):
        first, last = images * part // PARTS * length, images * (part + 1) // PARTS * length
        for start in range(first, last, _RUN * channels):
            one[:] = 0
            two[:] = 0
            for pixel in range(start, min(last, start + _RUN * channels), channels):
                for c in range(channels):
                    value = values[_at(pixel + c)] - shift[_at(c)]
                    one[_at(c)] += value
                    two[_at(c)] += value * value
            _add(sums, part, one, two)


@contracted  # type: ignore[untyped-decorator]
def _normalise(
    values: Array, outputs: Array, scale: Array, offset: Array, bounds: Array,
    images: int, length: int, begin: int, end: int,
) -> None:  # fmt: skip
    channels, low, high = len(scale), bounds[0], bounds[1]
    for pixel in range(images * begin // PARTS * length, images * end // PARTS * length, channels):
        for c in range(channels):
            value = values[_at(pixel + c)] * scale[_at(c)] + offset[_at(c)]
            # What is not a number stays so.
            outputs[_at(pixel + c)] = low if value <= low else (high if value >= high else value)


@contracted  # type: ignore[untyped-decorator]
def _slopes(
    values: Array, gradient: Array, scale: Array, offset: Array, bounds: Array, mean: Array, sums: Array,
    images: int, length: int, begin: int, end: int,
) -> None:  # fmt: skip
    channels, low, high = len(scale), bounds[0], bounds[1]
    zero = values.dtype.type(0)
    one, two = np.zeros(channels, values.dtype), np.zeros(channels, values.dtype)
    for part in range(begin, end):
        first, last = images * part // PARTS * length, images * (part + 1) // PARTS * length
        for start in range(first, last, _RUN * channels):
            one[:] = 0
            two[:] = 0
            for pixel in range(start, min(last, start + _RUN * channels), channels):
                for c in range(channels):
                    value, slope = values[_at(pixel + c)], gradient[_at(pixel + c)]
                    output = value * scale[_at(c)] + offset[_at(c)]
                    slope = zero if output <= low or output >= high else slope
                    one[_at(c)] += slope
                    two[_at(c)] += slope * (value - mean[_at(c)])
            _add(sums, part, one, two)


@contracted  # type: ignore[untyped-decorator]
def _backward(
    values: Array, gradient: Array, outputs: Array, scale: Array, offset: Array, bounds: Array,
    mean: Array, slope: Array, constant: Array, images: int, length: int, begin: int, end: int,
) -> None:  # fmt: skip
    channels, low, high = len(scale), bounds[0], bounds[1]
    zero = values.dtype.type(0)
    for pixel in range(images * begin // PARTS * length, images * end // PARTS * length, channels):
        for c in range(channels):
            value, given = values[_at(pixel + c)], gradient[_at(pixel + c)]
            output = value * scale[_at(c)] + offset[_at(c)]
            given = zero if output <= low or output >= high else given
            centred = (value - mean[_at(c)]) * slope[_at(c)] + constant[_at(c)]
            outputs[_at(pixel + c)] = given * scale[_at(c)] + centred


@numba.njit  # type: ignore[untyped-decorator]
def _add(sums: Array, part: int, one: Array, two: Array) -> None:
    """Add what one run summed up [C] to both sums of its part."""
    channels = len(one)
    for c in range(channels):
        sums[2 * part * channels + c] += one[c]
        sums[(2 * part + 1) * channels + c] += two[c]
