"""Path aggregation networks."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from nas.layers import Context, LevelFeatures
from nas.models.necks.pyramid import PyramidConvolution, TopDown
from nas.space.arch import Neck
from nas.space.spec import NeckChoices


class PAN(nn.Module):
    """A feature pyramid and the way back from fine to coarse (Liu et al. 2018; the neck of YOLOv4 and later).

    The finest level goes through a 3x3 convolution. Every coarser level adds the one before it, shrunk by a
    3x3 convolution of stride 2, and goes through a 3x3 convolution too.

    Args:
        features: channels and stride of stem and stages, finest first.
        spec: the neck's choices; one list of widths per level, coarsest first.
    """

    def __init__(self, features: Sequence[tuple[int, int]], spec: NeckChoices) -> None:
        super().__init__()
        self.top_down = TopDown(features, spec)
        self.levels = self.top_down.levels
        widths = [level.channels for level in reversed(self.levels)]
        # Both from fine to coarse.
        self.smooth = nn.ModuleList(PyramidConvolution(spec, width, width) for width in widths)
        self.shrink = nn.ModuleList(
            PyramidConvolution(spec, finer, width, stride=2) for finer, width in pairwise(widths)
        )

    def forward(
        self, features: tuple[Tensor, ...], neck: Neck, context: Context
    ) -> tuple[LevelFeatures, ...]:
        """Features of stem and stages -> (refined, None) of each level, coarsest first."""
        merged = self.top_down(features, neck, context)
        widths = neck.widths[::-1]
        finest, *smooth = self.smooth
        x = finest(merged.pop(), widths[0], neck, context)
        levels: list[LevelFeatures] = [(x, None)]
        for shrink, convolution, width in zip(self.shrink, smooth, widths[1:], strict=True):
            x = convolution(merged.pop() + shrink(x, width, neck, context), width, neck, context)
            levels.insert(0, (x, None))
        return tuple(levels)
