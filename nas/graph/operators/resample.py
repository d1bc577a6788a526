"""Pooling and interpolation."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch.nn.functional as F

from nas.graph.builder import Builder, emit_as
from nas.graph.operator import Operator
from nas.graph.operators.convolution import pair
from nas.graph.registry import Binding, Record, Tie, register
from nas.graph.symbols import Symbol, type_of


def _tie_channels(operator: Operator) -> Iterator[Tie]:
    yield ("in", 0, 1), ("out", 0, 1)


def _bind_max_pool(
    x: Symbol,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Binding:
    if return_indices:
        raise ValueError("max pooling that returns indices has no record")
    stride = stride or kernel_size
    result = type_of(F.max_pool2d, x, kernel_size, stride, padding, dilation, ceil_mode)
    attributes = {
        "kernel_shape": pair(kernel_size),
        "strides": pair(stride),
        "pads": pair(padding) * 2,
        "dilations": pair(dilation),
        "ceil_mode": int(ceil_mode),
    }
    return Binding((x,), attributes, (result,))


def _bind_avg_pool(
    x: Symbol,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Binding:
    if divisor_override is not None or ceil_mode:
        raise ValueError("average pooling with ceil_mode or divisor_override has no record")
    stride = stride or kernel_size
    result = type_of(F.avg_pool2d, x, kernel_size, stride, padding, ceil_mode, count_include_pad)
    attributes = {
        "kernel_shape": pair(kernel_size),
        "strides": pair(stride),
        "pads": pair(padding) * 2,
        "count_include_pad": int(count_include_pad),
    }
    return Binding((x,), attributes, (result,))


def _bind_adaptive_avg_pool(x: Symbol, output_size: Any) -> Binding:
    if pair(output_size) != (1, 1):
        raise ValueError("adaptive average pooling has a record for an output of one cell only")
    return Binding((x,), {}, (type_of(F.adaptive_avg_pool2d, x, 1),))


INTERPOLATIONS = ("nearest", "bilinear")


def _bind_interpolate(
    x: Symbol,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Binding:
    if mode not in INTERPOLATIONS or antialias or x.ndim != 4:
        raise ValueError(f"interpolation {mode!r} has no record; known: {', '.join(INTERPOLATIONS)} of maps")
    result = type_of(
        F.interpolate, x, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias=antialias
    )
    ratios = tuple(new / old for new, old in zip(result.shape[2:], x.shape[2:], strict=True))
    given = ratios
    if scale_factor is not None and not recompute_scale_factor:
        factors = (scale_factor,) * 2 if isinstance(scale_factor, int | float) else scale_factor
        given = (float(factors[0]), float(factors[1]))
    if given != ratios:
        raise ValueError(
            f"interpolation by {given} of {list(x.shape[2:])} does not give whole cells; name the size"
        )
    attributes = {"mode": mode, "align_corners": bool(align_corners), "scales": ratios}
    return Binding((x,), attributes, (result,))


def _emit_interpolate(operator: Operator, builder: Builder) -> None:
    scales = operator.attributes["scales"]
    exact = all(float(np.float32(scale)) == scale for scale in scales)
    if exact:
        target = ["", builder.array(np.asarray((1.0, 1.0, *scales), np.float32))]
    else:
        target = ["", "", builder.integers(operator.shape)]
    if operator.attributes["mode"] == "nearest":
        options = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    else:
        corners = operator.attributes["align_corners"]
        grid = "align_corners" if corners else "pytorch_half_pixel"
        options = {"mode": "linear", "coordinate_transformation_mode": grid}
    builder.emit(operator, "Resize", [builder.input(operator, 0), *target], **options)


def _bind_pixel_shuffle(x: Symbol, upscale_factor: int) -> Binding:
    return Binding((x,), {"blocksize": upscale_factor}, (type_of(F.pixel_shuffle, x, upscale_factor),))


for _kind, _function, _binder, _onnx in (
    ("max_pool", "max_pool2d", _bind_max_pool, "MaxPool"),
    ("avg_pool", "avg_pool2d", _bind_avg_pool, "AveragePool"),
    ("global_avg_pool", "adaptive_avg_pool2d", _bind_adaptive_avg_pool, "GlobalAveragePool"),
):
    register(Record(_kind, (_function,), bind=_binder, emit=emit_as(_onnx), couple=_tie_channels))
register(
    Record(
        "interpolate", ("interpolate",), bind=_bind_interpolate, emit=_emit_interpolate,
        label=lambda operator: f"interpolate.{operator.attributes['mode']}", couple=_tie_channels,
    )
)  # fmt: skip
_emit_pixel_shuffle = emit_as("DepthToSpace", mode="CRD")
register(Record("pixel_shuffle", ("pixel_shuffle",), bind=_bind_pixel_shuffle, emit=_emit_pixel_shuffle))
