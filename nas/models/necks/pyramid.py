"""What feature pyramids share: the way from coarse to fine, and their 3x3 convolutions."""

from collections.abc import Sequence
from itertools import pairwise, repeat

from torch import Tensor, nn

from nas.layers import (
    Context,
    ConvNorm,
    ElasticBatchNorm2d,
    ElasticConv2d,
    Level,
    SeparableConvNorm,
)
from nas.models.upsamplers import NECK_ACTIVATION, upsamplers
from nas.space.arch import Neck
from nas.space.spec import NeckChoices


class _Lateral(nn.Module):
    """1x1 convolution of the backbone's features, to be summed."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv = ElasticConv2d(channels, width, 1, bias=False)
        self.norm = ElasticBatchNorm2d(width)

    def forward(self, x: Tensor, width: int, context: Context) -> Tensor:
        out: Tensor = self.norm(self.conv(x, width, context), context)
        return out


class _DensePyramidConv(ConvNorm):
    """3x3 convolution."""

    def __init__(self, channels: int, width: int, *, stride: int) -> None:
        super().__init__(channels, width, 3, stride=stride)


class _SeparablePyramidConv(SeparableConvNorm):
    """3x3 depthwise and 1x1 convolution."""

    def __init__(self, channels: int, width: int, *, stride: int) -> None:
        super().__init__(channels, width, (3,), stride=stride)


CONVOLUTIONS: dict[str, type[_DensePyramidConv] | type[_SeparablePyramidConv]] = {
    "separable": _SeparablePyramidConv,
    "dense": _DensePyramidConv,
}


class PyramidConvolution(nn.ModuleDict):
    """A 3x3 convolution of every kind to choose from, at the largest widths."""

    def __init__(self, spec: NeckChoices, channels: int, width: int, *, stride: int = 1) -> None:
        super().__init__(
            {kind: CONVOLUTIONS[kind](channels, width, stride=stride) for kind in spec.convolutions}
        )

    def forward(self, x: Tensor, width: int, neck: Neck, context: Context) -> Tensor:
        """[B, C, h, w] -> [B, width, h / stride, w / stride]."""
        out: Tensor = self[str(neck.convolution)](x, width, NECK_ACTIVATION, context)
        return out


class TopDown(nn.Module):
    """From coarse to fine, each scale's features plus the enlarged coarser level (Lin et al. 2017).

    A 1x1 convolution brings the backbone's features of a scale to the level's width, an up-sampler the level
    above. Levels coarser than the last stage are made from it by 3x3 convolutions of stride 2.

    Args:
        features: channels and stride of stem and stages, finest first.
        spec: the neck's choices; one list of widths per level, coarsest first.
    """

    def __init__(self, features: Sequence[tuple[int, int]], spec: NeckChoices) -> None:
        super().__init__()
        widths = [max(choices) for choices in spec.widths]
        channels, total_stride = features[-1]
        self.coarser = spec.coarser
        strides = [total_stride * 2**spec.coarser // 2**level for level in range(len(widths))]
        self.levels = tuple(Level(*level) for level in zip(widths, repeat(None), strides, strict=False))
        # From the last stage upwards: the level next to it comes first.
        self.extend = nn.ModuleList()
        for width in reversed(widths[: spec.coarser]):
            self.extend.append(PyramidConvolution(spec, channels, width, stride=2))
            channels = width
        # Of the features of one scale the deepest.
        deepest = {stride: index for index, (_, stride) in enumerate(features)}
        self.indices = [deepest[stride] for stride in strides[spec.coarser :]]
        self.lateral = nn.ModuleList(
            _Lateral(features[index][0], width)
            for index, width in zip(self.indices, widths[spec.coarser :], strict=True)
        )
        self.upsample = nn.ModuleList(
            upsamplers(spec.upsamplers, above, None, width) for above, width in pairwise(widths)
        )

    def forward(self, features: tuple[Tensor, ...], neck: Neck, context: Context) -> list[Tensor]:
        """Features of stem and stages -> the sum of each level, coarsest first."""
        first, *others = self._inputs(features, neck, context)
        merged = [first]
        for upsample, x, width in zip(self.upsample, others, neck.widths[1:], strict=True):
            assert isinstance(upsample, nn.ModuleDict)
            merged.append(x + upsample[str(neck.upsampler)](merged[-1], None, width, context))
        return merged

    def _inputs(self, features: tuple[Tensor, ...], neck: Neck, context: Context) -> list[Tensor]:
        """What each level has of the backbone, as wide as the level, coarsest first."""
        x = features[-1]
        inputs: list[Tensor] = []
        for extend, width in zip(self.extend, reversed(neck.widths[: self.coarser]), strict=True):
            x = extend(x, width, neck, context)
            inputs.insert(0, x)
        own = zip(self.lateral, self.indices, neck.widths[self.coarser :], strict=True)
        return inputs + [lateral(features[index], width, context) for lateral, index, width in own]
