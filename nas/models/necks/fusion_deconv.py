"""LitePose's neck."""

from collections.abc import Sequence

from torch import Tensor, nn

from nas.layers import Context, Level, LevelFeatures
from nas.models.upsamplers import upsamplers
from nas.space.arch import Neck
from nas.space.spec import NeckChoices


class FusionDeconv(nn.Module):
    """Every level doubles the resolution and adds the backbone's features of its scale.

    Args:
        features: channels and stride of stem and stages, finest first.
        spec: the neck's choices.
    """

    def __init__(self, features: Sequence[tuple[int, int]], spec: NeckChoices) -> None:
        super().__init__()
        channels, stride = features[-1]
        raws = list(features[:-1])
        self.raw_indices: list[int | None] = []
        self.levels: tuple[Level, ...] = ()
        self.upsample = nn.ModuleList()
        for width in (*map(max, spec.widths), None):
            index = max((i for i, (_, s) in enumerate(raws) if s == stride), default=None)
            raw = None if index is None else raws[index][0]
            self.raw_indices.append(index)
            self.levels = (*self.levels, Level(channels, raw, stride))
            if width is None:
                break
            self.upsample.append(upsamplers(spec.upsamplers, channels, raw, width))
            channels, stride = width, stride // 2
        self.levels = self.levels[1:]

    def forward(
        self, features: tuple[Tensor, ...], neck: Neck, context: Context
    ) -> tuple[LevelFeatures, ...]:
        """Features of stem and stages -> (refined, raw) of each level, coarsest first."""
        x = features[-1]
        levels = []
        for step, (upsample, width) in enumerate(zip(self.upsample, neck.widths, strict=True)):
            assert isinstance(upsample, nn.ModuleDict)
            x = upsample[str(neck.upsampler)](x, self._raw(features, step), width, context)
            levels.append((x, self._raw(features, step + 1)))
        return tuple(levels)

    def _raw(self, features: tuple[Tensor, ...], step: int) -> Tensor | None:
        index = self.raw_indices[step]
        return None if index is None else features[index]
