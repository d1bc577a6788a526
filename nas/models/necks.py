"""Necks: what joins the stages' features, and the up-samplers that they choose from."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from nas.heads.base import Level, LevelFeatures
from nas.layers import (
    ElasticBatchNorm2d,
    ElasticConv2d,
    ElasticConvTranspose2d,
    ElasticDepthwiseConv2d,
    Run,
    activate,
)
from nas.space.arch import Neck
from nas.space.spec import NeckSpec

NECK_ACTIVATION = "relu"


class _Deconv(nn.Module):
    """Transposed convolutions of the refined and the raw features, added (LitePose's fusion deconv)."""

    kernel: int

    def __init__(self, refined: int, raw: int | None, width: int) -> None:
        super().__init__()
        self.refined = self._deconv(refined, width)
        self.raw = None if raw is None else self._deconv(raw, width)
        self.norm = ElasticBatchNorm2d(width)

    def _deconv(self, in_width: int, width: int) -> ElasticConvTranspose2d:
        padding = (self.kernel - 2) // 2
        return ElasticConvTranspose2d(in_width, width, self.kernel, stride=2, padding=padding, bias=False)

    def forward(self, refined: Tensor, raw: Tensor | None, width: int, run: Run) -> Tensor:
        x: Tensor = self.refined(refined, width, run)
        if self.raw is not None:
            x = x + self.raw(raw, width, run)
        return activate(self.norm(x, run), NECK_ACTIVATION)


class Deconv4x4(_Deconv):
    kernel = 4


class Deconv2x2(_Deconv):
    kernel = 2


class _Resize(nn.Module):
    """1x1 convolutions of the refined and the raw features, added, then enlarged."""

    mode: str

    def __init__(self, refined: int, raw: int | None, width: int) -> None:
        super().__init__()
        self.refined = ElasticConv2d(refined, width, 1, bias=False)
        self.raw = None if raw is None else ElasticConv2d(raw, width, 1, bias=False)
        self.norm = ElasticBatchNorm2d(width)

    def forward(self, refined: Tensor, raw: Tensor | None, width: int, run: Run) -> Tensor:
        x: Tensor = self.refined(refined, width, run)
        if self.raw is not None:
            x = x + self.raw(raw, width, run)
        return activate(self.norm(self.enlarge(x, width, run), run), NECK_ACTIVATION)

    def enlarge(self, x: Tensor, width: int, run: Run) -> Tensor:
        raise NotImplementedError


class Bilinear(_Resize):
    """1x1 convolution and bilinear interpolation."""

    def enlarge(self, x: Tensor, width: int, run: Run) -> Tensor:
        return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class NearestDepthwise(_Resize):
    """1x1 convolution, nearest neighbours, 3x3 depthwise, 1x1 convolution: cheap, and learns to smooth."""

    def __init__(self, refined: int, raw: int | None, width: int) -> None:
        super().__init__(refined, raw, width)
        self.depthwise = ElasticDepthwiseConv2d(width, (3,))
        self.depthwise_norm = ElasticBatchNorm2d(width)
        self.project = ElasticConv2d(width, width, 1, bias=False)

    def enlarge(self, x: Tensor, width: int, run: Run) -> Tensor:
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        x = self.depthwise_norm(self.depthwise(x, 3, run), run)
        out: Tensor = self.project(x, width, run)
        return out


UPSAMPLERS: dict[str, type[_Deconv] | type[_Resize]] = {
    "deconv4x4": Deconv4x4,
    "deconv2x2": Deconv2x2,
    "nearest_dw": NearestDepthwise,
    "bilinear": Bilinear,
}


class FusionDeconv(nn.Module):
    """LitePose's neck: every level doubles the resolution and adds the backbone's features of its scale.

    Args:
        features: channels and stride of stem and stages, finest first.
        upsamplers: the up-samplers to choose from.
        widths: the largest width of each level.
    """

    def __init__(
        self, features: Sequence[tuple[int, int]], upsamplers: Sequence[str], widths: Sequence[int]
    ) -> None:
        super().__init__()
        channels, stride = features[-1]
        raws = list(features[:-1])
        self.raw_indices: list[int | None] = []
        self.levels: tuple[Level, ...] = ()
        self.upsample = nn.ModuleList()
        for width in (*widths, None):
            index = max((i for i, (_, s) in enumerate(raws) if s == stride), default=None)
            raw = None if index is None else raws[index][0]
            self.raw_indices.append(index)
            self.levels = (*self.levels, Level(channels, raw, stride))
            if width is None:
                break
            self.upsample.append(
                nn.ModuleDict({name: UPSAMPLERS[name](channels, raw, width) for name in upsamplers})
            )
            channels, stride = width, stride // 2
        self.levels = self.levels[1:]

    def forward(self, features: tuple[Tensor, ...], neck: Neck, run: Run) -> tuple[LevelFeatures, ...]:
        """Features of stem and stages -> (refined, raw) of each level, coarsest first."""
        x = features[-1]
        levels = []
        for step, (upsample, width) in enumerate(zip(self.upsample, neck.widths, strict=True)):
            assert isinstance(upsample, nn.ModuleDict)
            x = upsample[str(neck.upsampler)](x, self._raw(features, step), width, run)
            levels.append((x, self._raw(features, step + 1)))
        return tuple(levels)

    def _raw(self, features: tuple[Tensor, ...], step: int) -> Tensor | None:
        index = self.raw_indices[step]
        return None if index is None else features[index]


class NoNeck(nn.Module):
    """The last stage's features as they are."""

    def __init__(self, features: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        channels, stride = features[-1]
        self.levels = (Level(channels, None, stride),)

    def forward(self, features: tuple[Tensor, ...], neck: Neck, run: Run) -> tuple[LevelFeatures, ...]:
        return ((features[-1], None),)


def build_neck(name: str, features: Sequence[tuple[int, int]], spec: NeckSpec) -> FusionDeconv | NoNeck:
    """The neck of that type at its largest widths."""
    if name == "none":
        return NoNeck(features)
    return FusionDeconv(features, spec.upsamplers, [max(widths) for widths in spec.widths])
