"""Up-samplers: from one scale to the next finer one."""

from collections.abc import Iterable

import torch.nn.functional as F
from torch import Tensor, nn

from nas.layers import (
    Context,
    ElasticBatchNorm2d,
    ElasticConv2d,
    ElasticDepthwiseConv2d,
    MergingDeconv,
)
from nas.space.parts import part
from nas.space.specs import UpsamplerSpec

NECK_ACTIVATION = "relu"


class Deconv2x2(MergingDeconv):
    """2x2 transposed convolution: no two cells of the input meet."""


class Deconv4x4(MergingDeconv):
    """4x4 transposed convolution."""

    def __init__(self, refined: int, raw: int | None, width: int) -> None:
        super().__init__(refined, raw, width, kernel=4)


class _Projection(nn.Module):
    """1x1 convolutions of the refined and the raw features, added."""

    def __init__(self, refined: int, raw: int | None, width: int) -> None:
        super().__init__()
        self.refined = ElasticConv2d(refined, width, 1, bias=False)
        self.raw = None if raw is None else ElasticConv2d(raw, width, 1, bias=False)
        self.norm = ElasticBatchNorm2d(width)

    def join(self, refined: Tensor, raw: Tensor | None, width: int, context: Context) -> Tensor:
        x: Tensor = self.refined(refined, width, context)
        return x if self.raw is None else x + self.raw(raw, width, context)


class _Resize(_Projection):
    """The sum of the 1x1 convolutions, enlarged."""

    def forward(self, refined: Tensor, raw: Tensor | None, width: int, context: Context) -> Tensor:
        x = self.enlarge(self.join(refined, raw, width, context), width, context)
        return self.norm.activated(x, context, NECK_ACTIVATION)

    def enlarge(self, x: Tensor, width: int, context: Context) -> Tensor:
        raise NotImplementedError


class Nearest(_Projection):
    """1x1 convolution and nearest neighbours."""

    def forward(self, refined: Tensor, raw: Tensor | None, width: int, context: Context) -> Tensor:
        # Norm and activation are the same before enlarging, and cost a quarter.
        x = self.norm.activated(self.join(refined, raw, width, context), context, NECK_ACTIVATION)
        return F.interpolate(x, scale_factor=2.0, mode="nearest")


class Bilinear(_Resize):
    """1x1 convolution and bilinear interpolation."""

    def enlarge(self, x: Tensor, width: int, context: Context) -> Tensor:
        return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class NearestDepthwise(_Resize):
    """1x1 convolution, nearest neighbours, 3x3 depthwise, 1x1 convolution: cheap, and learns to smooth."""

    def __init__(self, refined: int, raw: int | None, width: int) -> None:
        super().__init__(refined, raw, width)
        self.depthwise = ElasticDepthwiseConv2d(width, (3,))
        self.depthwise_norm = ElasticBatchNorm2d(width)
        self.project = ElasticConv2d(width, width, 1, bias=False)

    def enlarge(self, x: Tensor, width: int, context: Context) -> Tensor:
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        x = self.depthwise_norm(self.depthwise(x, 3, context), context)
        out: Tensor = self.project(x, width, context)
        return out


def upsamplers(choices: Iterable[str], refined: int, raw: int | None, width: int) -> nn.ModuleDict:
    """An up-sampler of every type to choose from, at the largest widths."""
    return nn.ModuleDict(
        {name: part(UpsamplerSpec, name).load_module()(refined, raw, width) for name in choices}
    )
