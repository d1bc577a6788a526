"""Feature pyramid networks."""

from collections.abc import Sequence

from torch import Tensor, nn

from nas.layers import Context, LevelFeatures
from nas.models.necks.pyramid import PyramidConvolution, TopDown
from nas.space.arch import Neck
from nas.space.spec import NeckChoices


class FPN(nn.Module):
    """From coarse to fine, a 3x3 convolution after the sum of each level (Lin et al. 2017).

    Args:
        features: channels and stride of stem and stages, finest first.
        spec: the neck's choices; one list of widths per level, coarsest first.
    """

    def __init__(self, features: Sequence[tuple[int, int]], spec: NeckChoices) -> None:
        super().__init__()
        self.top_down = TopDown(features, spec)
        self.levels = self.top_down.levels
        self.smooth = nn.ModuleList(
            PyramidConvolution(spec, level.channels, level.channels) for level in self.levels
        )

    def forward(
        self, features: tuple[Tensor, ...], neck: Neck, context: Context
    ) -> tuple[LevelFeatures, ...]:
        """Features of stem and stages -> (refined, None) of each level, coarsest first."""
        merged = self.top_down(features, neck, context)
        levels = zip(self.smooth, merged, neck.widths, strict=True)
        return tuple((smooth(x, width, neck, context), None) for smooth, x, width in levels)
