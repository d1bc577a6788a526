"""The loops of depthwise convolutions: the weight's gradient, and the convolution itself.

Rows are read as they lie in memory, channels last, and copied so that the channels of one vector register lie
next to each other and the images have their padding: no window has edges, and the rows that windows share lie
in the cache. All taps of one row of the kernel, or some neighbouring sums, then stay in registers.
"""

from functools import cache
from typing import Any

import numba
import numpy as np

from nas.layers.compiled.jobs import Loop, array, contracted, shape, shares
from nas.layers.compiled.parts import PARTS, Array
from nas.layers.compiled.vectors import add_taps, constants, copy, slide_window

_Shape = tuple[int, int, int, int]
_Constant = tuple[int, ...]


@cache
def taps(kernel: int, stride: int, dtype: str) -> Loop:
    """Called with (images, gradient, sums, inputs, outputs).

    Adds to `sums` [PARTS, C, kernel * kernel] the products of images and gradient of each part. All three are
    flat; `inputs` and `outputs` are the former two's shapes [B, H, W, C].
    """
    kind, (along, steps, vector) = np.dtype(dtype).type, constants(kernel, stride, dtype)

    def work(job: Any) -> None:
        for begin, end in shares(job):
            images, gradient, sums = array(job, 0, kind), array(job, 1, kind), array(job, 2, kind)
            inputs, outputs = shape(job, 3), shape(job, 4)
            _taps(images, gradient, sums, inputs, outputs, begin, end, along, steps, vector)

    return Loop(work)


@cache
def windows(kernel: int, stride: int, dtype: str) -> Loop:
    """Called with (images, results, weight, inputs, outputs).

    Writes the convolution of images and weight [C, kernel * kernel]. All three are flat; `inputs` and
    `outputs` are the former two's shapes [B, H, W, C].
    """
    kind, (along, steps, vector) = np.dtype(dtype).type, constants(kernel, stride, dtype)

    def work(job: Any) -> None:
        for begin, end in shares(job):
            images, results, weight = array(job, 0, kind), array(job, 1, kind), array(job, 2, kind)
            inputs, outputs = shape(job, 3), shape(job, 4)
            _windows(images, results, weight, inputs, outputs, begin, end, along, steps, vector)

    return Loop(work)


@contracted  # type: ignore[untyped-decorator]
def _taps(
    images: Array, gradient: Array, sums: Array, inputs: _Shape, outputs: _Shape, begin: int, end: int,
    taps: _Constant, steps: _Constant, vector: _Constant,
) -> None:  # fmt: skip
    batch, height, width, channels = inputs
    rows, columns = outputs[1], outputs[2]
    kernel, stride, lanes = len(taps), len(steps), len(vector)
    reach = kernel // 2
    blocks = (channels + lanes - 1) // lanes
    line = (width + 2 * reach) * lanes
    ring = np.zeros(kernel * blocks * line, images.dtype)
    slopes = np.zeros(blocks * columns * lanes, images.dtype)
    totals = np.empty(blocks * kernel * kernel * lanes, images.dtype)
    for part in range(begin, end):
        totals[:] = 0
        for image in range(batch * part // PARTS, batch * (part + 1) // PARTS):
            held = 0
            for row in range(rows):
                held = _hold(ring, held, row * stride + kernel - reach, images, inputs, image, taps, vector)
                source = (image * rows + row) * columns
                _spread(slopes, 0, columns * lanes, gradient, source, columns, channels, vector)
                first = max(0, reach - row * stride)
                last = min(kernel, height + reach - row * stride)
                for block in range(blocks):
                    for i in range(first, last):
                        add_taps(
                            totals, (block * kernel + i) * kernel * lanes,
                            ring, ((row * stride + i - reach) % kernel * blocks + block) * line,
                            slopes, block * columns * lanes,
                            columns, taps, steps, vector,
                        )  # fmt: skip
        for channel in range(channels):
            for tap in range(kernel * kernel):
                place = (channel // lanes * kernel * kernel + tap) * lanes + channel % lanes
                sums[(part * channels + channel) * kernel * kernel + tap] += totals[place]


@contracted  # type: ignore[untyped-decorator]
def _windows(
    images: Array, results: Array, weight: Array, inputs: _Shape, outputs: _Shape, begin: int, end: int,
    taps: _Constant, steps: _Constant, vector: _Constant,
) -> None:  # fmt: skip
    batch, height, width, channels = inputs
    rows, columns = outputs[1], outputs[2]
    kernel, stride, lanes = len(taps), len(steps), len(vector)
    reach = kernel // 2
    blocks = (channels + lanes - 1) // lanes
    line = (width + 2 * reach) * lanes
    ring = np.zeros(kernel * blocks * line, images.dtype)
    found = np.empty(blocks * columns * lanes, images.dtype)
    spread = np.zeros(blocks * kernel * kernel * lanes, images.dtype)
    for channel in range(channels):
        for tap in range(kernel * kernel):
            place = (channel // lanes * kernel * kernel + tap) * lanes + channel % lanes
            spread[place] = weight[channel * kernel * kernel + tap]
    for image in range(batch * begin // PARTS, batch * end // PARTS):
        held = 0
        for row in range(rows):
            held = _hold(ring, held, row * stride + kernel - reach, images, inputs, image, taps, vector)
            first = max(0, reach - row * stride)
            last = min(kernel, height + reach - row * stride)
            for block in range(blocks):
                slide_window(
                    found, block * columns * lanes,
                    ring, block * line,
                    spread, block * kernel * kernel * lanes,
                    blocks * line, row * stride - reach + kernel, first, last, columns, taps, steps, vector,
                )  # fmt: skip
            _gather(
                results, (image * rows + row) * columns, found, columns * lanes, columns, channels, vector
            )


@numba.njit  # type: ignore[untyped-decorator]
def _hold(
    ring: Array, held: int, until: int, images: Array, inputs: _Shape, image: int, taps: _Constant,
    vector: _Constant,
) -> int:  # fmt: skip
    """Spread an image's rows from `held` up to `until` into the ring of those that a window reaches.

    Row r lies at r % kernel. Returns up to which row it holds them now.
    """
    _, height, width, channels = inputs
    kernel, lanes = len(taps), len(vector)
    reach = kernel // 2
    blocks, line = (channels + lanes - 1) // lanes, (width + 2 * reach) * lanes
    until = min(height, until)
    for row in range(held, until):
        at = row % kernel * blocks * line + reach * lanes
        _spread(ring, at, line, images, (image * height + row) * width, width, channels, vector)
    return max(held, until)


@numba.njit  # type: ignore[untyped-decorator]
def _spread(
    into: Array, at: int, distance: int, values: Array, source: int, pixels: int, channels: int,
    vector: _Constant,
) -> None:  # fmt: skip
    """Copy neighbouring pixels so that each vector's channels lie next to each other, `distance` apart."""
    lanes = len(vector)
    whole = channels // lanes
    for pixel in range(pixels):
        start, to = (source + pixel) * channels, at + pixel * lanes
        for block in range(whole):
            copy(into, to + block * distance, values, start + block * lanes, vector)
        # What lies beyond the last channel stays zero.
        for channel in range(whole * lanes, channels):
            into[to + whole * distance + channel - whole * lanes] = values[start + channel]


@numba.njit  # type: ignore[untyped-decorator]
def _gather(
    into: Array, source: int, values: Array, distance: int, pixels: int, channels: int, vector: _Constant
) -> None:
    """The way back."""
    lanes = len(vector)
    whole = channels // lanes
    for pixel in range(pixels):
        start, at = (source + pixel) * channels, pixel * lanes
        for block in range(whole):
            copy(into, start + block * lanes, values, at + block * distance, vector)
        for channel in range(whole * lanes, channels):
            into[start + channel] = values[at + whole * distance + channel - whole * lanes]
