"""Layers that slice themselves to the widths, kernels and grids of one architecture."""

from nas.layers.attention import GatedAttention
from nas.layers.conv import (
    ElasticConv2d,
    ElasticConvTranspose2d,
    ElasticDepthwiseConv2d,
    ElasticKernelConv2d,
)
from nas.layers.conv_norm import ConvNorm
from nas.layers.elastic import ElasticLayer, Segments, first
from nas.layers.functional import ACTIVATIONS, activate, widened
from nas.layers.linear import Axis, ResampledLinear, interpolation_matrix
from nas.layers.norm import ElasticBatchNorm2d, ScaleNorm
from nas.layers.run import Run, Statistics, StatisticsMissingError
from nas.layers.upsamplers import UPSAMPLERS, Deconv2x2

__all__ = [
    "ACTIVATIONS",
    "UPSAMPLERS",
    "Axis",
    "ConvNorm",
    "Deconv2x2",
    "ElasticBatchNorm2d",
    "ElasticConv2d",
    "ElasticConvTranspose2d",
    "ElasticDepthwiseConv2d",
    "ElasticKernelConv2d",
    "ElasticLayer",
    "GatedAttention",
    "ResampledLinear",
    "Run",
    "ScaleNorm",
    "Segments",
    "Statistics",
    "StatisticsMissingError",
    "activate",
    "first",
    "interpolation_matrix",
    "widened",
]
