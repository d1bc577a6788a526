"""The weight gradient of depthwise convolutions, compiled by numba.

Where the kernel is larger than 3, oneDNN takes four to seven times as long for it as for the forward pass
(`benchmarks/depthwise.py`). This loop reads both tensors as they lie in memory, channels last: the innermost
loop runs over channels, so that the compiler turns it into vector instructions, and every sum over a few
neighbouring pixels stays in a register.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

_Array = np.ndarray[Any, Any]

_PIXELS = 3
"""Neighbouring output pixels that one pass of the innermost loop sums up."""

_CHANNELS = 64
"""Channels of one block: sums of all taps of a kernel (px 7: 12 kB) then fit into the first-level cache."""

_PARTS = 8
"""A batch is summed in so many parts, whatever the number of threads: rounding does not depend on them."""


def available() -> bool:
    """Whether there is a compiler."""
    return find_spec("numba") is not None


def weight_gradient(images: Tensor, gradient: Tensor, *, kernel: int, stride: int) -> Tensor:
    """The gradient of a depthwise convolution's weight.

    Args:
        images: [B, C, H, W], what was convolved with padding `kernel // 2`.
        gradient: [B, C, H', W'], of the convolution's output; same type, float32 or float64.
        kernel: its side (px), odd.
        stride: in both directions.

    Returns:
        [C, 1, kernel, kernel].
    """
    inputs, outputs = _channels_last(images), _channels_last(gradient)
    batch, _, _, channels = inputs.shape
    bounds = [batch * part // _PARTS for part in range(_PARTS + 1)]
    parts = [slice(*pair) for pair in pairwise(bounds) if pair[0] < pair[1]]
    sums = np.zeros((len(parts), channels, kernel * kernel), inputs.dtype)
    loop = _compiled(kernel, stride, inputs.dtype.name)

    def add(number: int) -> None:
        x, y = inputs[parts[number]], outputs[parts[number]]
        loop(x.reshape(-1), y.reshape(-1), sums[number].reshape(-1), x.shape, y.shape)

    threads = min(torch.get_num_threads(), len(parts))
    run = map if threads == 1 else _pool(threads).map
    for _ in run(add, range(len(parts))):
        pass
    return torch.from_numpy(sums.sum(axis=0)).view(channels, 1, kernel, kernel)


def _channels_last(tensor: Tensor) -> _Array:
    """[B, C, H, W] -> [B, H, W, C], contiguous; a view where it lies so already."""
    array: _Array = tensor.detach().permute(0, 2, 3, 1).contiguous().numpy()
    return array


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="weight-gradient")


@cache
def _compiled(kernel: int, stride: int, dtype: str) -> Callable[..., None]:
    """The loop for one kernel and stride: constants of the compiled code, so that it unrolls over taps."""
    import numba  # half a second, which only trainings pay

    values = numba.from_dtype(np.dtype(dtype))[::1]
    shape = numba.types.UniTuple(numba.int64, 4)
    signature = (values, values, values, shape, shape)
    plain = _loop(kernel, stride, np.dtype(dtype).type)
    # Products may be fused with sums; what is not finite stays so, since training looks for it.
    options: dict[str, Any] = {"nogil": True, "fastmath": {"contract"}}
    try:
        loop: Callable[..., None] = numba.njit(signature, cache=True, **options)(plain)
    except RuntimeError:  # nowhere to write what was compiled
        loop = numba.njit(signature, **options)(plain)
    return loop


def _loop(kernel: int, stride: int, number: Callable[[int], Any]) -> Callable[..., None]:
    """The loop as plain Python. Unsigned positions spare the test for negative ones."""
    reach, at = kernel // 2, np.uint64

    def loop(
        images: _Array, gradient: _Array, sums: _Array, inputs: tuple[int, ...], outputs: tuple[int, ...]
    ) -> None:
        batch, height, width, channels = inputs
        rows, columns = outputs[1], outputs[2]
        # Columns whose whole window lies inside.
        begin = min((reach + stride - 1) // stride, columns)
        end = max(begin, min(columns, (width - kernel + reach) // stride + 1))
        block = np.empty(kernel * kernel * _CHANNELS, images.dtype)
        for start in range(0, channels, _CHANNELS):
            some = min(_CHANNELS, channels - start)
            block[:] = 0
            for image in range(batch):
                for row in range(rows):
                    line = (image * rows + row) * columns
                    for i in range(kernel):
                        source = row * stride + i - reach
                        if source < 0 or source >= height:
                            continue
                        source = (image * height + source) * width
                        taps = i * kernel * _CHANNELS
                        column = begin
                        while column + _PIXELS <= end:
                            x = (source + column * stride - reach) * channels + start
                            y = (line + column) * channels + start
                            for c in range(some):
                                for j in range(kernel):
                                    product = number(0)
                                    for pixel in range(_PIXELS):
                                        product += (
                                            gradient[at(y + pixel * channels + c)]
                                            * images[at(x + (pixel * stride + j) * channels + c)]
                                        )
                                    block[at(taps + j * _CHANNELS + c)] += product
                            column += _PIXELS
                        for column_ in range(columns):
                            if begin <= column_ < column:
                                continue
                            y = (line + column_) * channels + start
                            for j in range(kernel):
                                x = column_ * stride + j - reach
                                if x < 0 or x >= width:
                                    continue
                                x = (source + x) * channels + start
                                for c in range(some):
                                    block[at(taps + j * _CHANNELS + c)] += (
                                        gradient[at(y + c)] * images[at(x + c)]
                                    )
            for tap in range(kernel * kernel):
                for c in range(some):
                    sums[(start + c) * kernel * kernel + tap] = block[tap * _CHANNELS + c]

    return loop
