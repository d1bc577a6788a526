"""Layers that slice themselves to the widths, kernels and grids of one architecture."""

from nas.layers.attention import GatedAttention
from nas.layers.context import Context, Statistics, StatisticsMissingError
from nas.layers.conv import (
    ElasticConv2d,
    ElasticConvTranspose2d,
    ElasticDepthwiseConv2d,
    ElasticKernelConv2d,
)
from nas.layers.conv_norm import ConvNorm, SeparableConvNorm
from nas.layers.deconv import MergingDeconv
from nas.layers.elastic import ElasticLayer, Segments, first, use_loops
from nas.layers.functional import ACTIVATIONS, activate, widened
from nas.layers.levels import Level, LevelFeatures
from nas.layers.linear import Axis, ResampledLinear, interpolation_matrix
from nas.layers.norm import ElasticBatchNorm2d, ScaleNorm

__all__ = [
    "ACTIVATIONS",
    "Axis",
    "Context",
    "ConvNorm",
    "ElasticBatchNorm2d",
    "ElasticConv2d",
    "ElasticConvTranspose2d",
    "ElasticDepthwiseConv2d",
    "ElasticKernelConv2d",
    "ElasticLayer",
    "GatedAttention",
    "Level",
    "LevelFeatures",
    "MergingDeconv",
    "ResampledLinear",
    "ScaleNorm",
    "Segments",
    "SeparableConvNorm",
    "Statistics",
    "StatisticsMissingError",
    "activate",
    "first",
    "interpolation_matrix",
    "use_loops",
    "widened",
]
