"""No neck."""

from collections.abc import Sequence

from torch import Tensor, nn

from nas.layers import Context, Level, LevelFeatures
from nas.space.arch import Neck
from nas.space.spec import NeckChoices


class NoNeck(nn.Module):
    """The last stage's features as they are."""

    def __init__(self, features: Sequence[tuple[int, int]], spec: NeckChoices) -> None:
        super().__init__()
        channels, stride = features[-1]
        self.levels = (Level(channels, None, stride),)

    def forward(
        self, features: tuple[Tensor, ...], neck: Neck, context: Context
    ) -> tuple[LevelFeatures, ...]:
        return ((features[-1], None),)
