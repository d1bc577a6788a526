"""The layers of the part affinity head: Lightweight OpenPose's (Osokin 2018), batch-normalised and elastic.

Of its own accord every layer is as wide as what comes in; the first one is told the width.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from nas.heads.base import HEATMAP_STD
from nas.layers import (
    Context,
    ElasticBatchNorm2d,
    ElasticConv2d,
    ElasticDepthwiseConv2d,
    Level,
    LevelFeatures,
    Segments,
)

ACTIVATION = "relu"
INITIAL_EXPANSION = 4
"""How much wider the initial stage is before its last layer."""

REFINEMENT_BLOCKS = 5


class TowerFeatures(nn.Module):
    """From a level's features to `width` channels: 1x1, three depthwise separable convolutions, 3x3.

    Args:
        level: what comes in, refined and raw.
        width: the largest number of channels.
    """

    def __init__(self, level: Level, width: int) -> None:
        super().__init__()
        inputs = (level.channels,) if level.raw_channels is None else (level.channels, level.raw_channels)
        self.reduce = _Sum(inputs, width)
        self.separable = nn.ModuleList(_SeparableTowerConv(width) for _ in range(3))
        self.last = _Conv(width, 3)

    def forward(self, features: LevelFeatures, width: int, context: Context) -> Tensor:
        """(refined, raw) [B, C, h, w] -> [B, width, h, w]."""
        refined, raw = features
        x: Tensor = self.reduce([refined] if raw is None else [refined, raw], width, context)
        trunk = x
        for block in self.separable:
            trunk = block(trunk, context)
        out: Tensor = self.last(x + trunk, context)
        return out


class InitialStage(nn.Module):
    """The first guess: three 3x3 convolutions, then two branches of 1x1 convolutions.

    Args:
        width: the largest number of channels.
        maps: how many heatmaps and affinity fields.
    """

    def __init__(self, width: int, maps: Sequence[int]) -> None:
        super().__init__()
        self.trunk = nn.ModuleList(_Conv(width, 3) for _ in range(3))
        self.branches = _Branches(width, INITIAL_EXPANSION, maps)
        nn.init.ones_(self.branches.heat_bias[-1:])  # the background is nearly all there is

    def forward(self, x: Tensor, fields: Segments, context: Context) -> tuple[Tensor, Tensor]:
        """[B, width, h, w] -> heatmaps and, of the affinity fields, those segments of one stage."""
        for block in self.trunk:
            x = block(x, context)
        out: tuple[Tensor, Tensor] = self.branches(x, fields, context)
        return out


class TowerStage(nn.Module):
    """A correction of the last guess, from the features and that guess: five residual blocks, two branches.

    Lightweight OpenPose predicts the maps anew. What is added to those of the stage before begins as good as
    these, however many stages an architecture has.

    Args:
        width: the largest number of channels.
        maps: how many heatmaps and affinity fields.
    """

    def __init__(self, width: int, maps: Sequence[int]) -> None:
        super().__init__()
        self.first = _Sum((width, *maps), width)
        self.reduce = nn.ModuleList(_Conv(width, 1) for _ in range(REFINEMENT_BLOCKS - 1))
        self.near = nn.ModuleList(_Conv(width, 3) for _ in range(REFINEMENT_BLOCKS))
        self.far = nn.ModuleList(_Conv(width, 3, dilation=2) for _ in range(REFINEMENT_BLOCKS))
        self.branches = _Branches(width, 1, maps)

    def forward(
        self, features: Tensor, heatmaps: Tensor, affinities: Tensor, fields: Segments, context: Context
    ) -> tuple[Tensor, Tensor]:
        """Features [B, width, h, w] and the maps of the stage before -> those of this stage.

        `fields` are the segments of all affinity fields that there are.
        """
        x: Tensor = self.first([features, heatmaps, affinities], features.shape[1], context, last=fields)
        x = x + self.far[0](self.near[0](x, context), context)
        for reduce, near, far in zip(self.reduce, self.near[1:], self.far[1:], strict=True):
            x = reduce(x, context)
            x = x + far(near(x, context), context)
        more_heat, more_affinity = self.branches(x, fields, context)
        return heatmaps + more_heat, affinities + more_affinity


class _Branches(nn.Module):
    """Heatmaps and affinity fields, each by two 1x1 convolutions."""

    def __init__(self, width: int, expansion: int, maps: Sequence[int]) -> None:
        super().__init__()
        self.expansion = expansion
        self.heatmaps = maps[0]
        self.hidden = nn.ModuleList(_Conv(width, 1, expansion) for _ in maps)
        heatmaps, affinities = (ElasticConv2d(width * expansion, count, 1) for count in maps)
        for layer in (heatmaps, affinities):
            nn.init.normal_(layer.weight, std=HEATMAP_STD)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        self.last = nn.ModuleList([heatmaps, affinities])

    @property
    def heat_bias(self) -> Tensor:
        """[heatmaps] of the heatmaps' last layer."""
        bias = self.last[0].bias
        assert isinstance(bias, Tensor)
        return bias

    def forward(self, x: Tensor, fields: Segments, context: Context) -> tuple[Tensor, Tensor]:
        heatmaps, affinities = (
            last(hidden(x, context), maps, context)
            for hidden, last, maps in zip(self.hidden, self.last, (self.heatmaps, fields), strict=True)
        )
        return heatmaps, affinities


class _Conv(nn.Module):
    """A dense convolution to `expansion` times the channels that come in, batch norm, activation."""

    def __init__(self, width: int, kernel: int, expansion: int = 1, *, dilation: int = 1) -> None:
        super().__init__()
        self.expansion = expansion
        self.conv = ElasticConv2d(
            width, width * expansion, kernel, padding=dilation * (kernel // 2), dilation=dilation, bias=False
        )
        self.norm = ElasticBatchNorm2d(width * expansion)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out")

    def forward(self, x: Tensor, context: Context) -> Tensor:
        return self.norm.activated(self.conv(x, x.shape[1] * self.expansion, context), context, ACTIVATION)


class _SeparableTowerConv(nn.Module):
    """3x3 depthwise and 1x1 convolution, each with batch norm and activation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = ElasticDepthwiseConv2d(width, (3,))
        self.norm = ElasticBatchNorm2d(width)
        self.pointwise = _Conv(width, 1)
        nn.init.kaiming_normal_(self.depthwise.weight, mode="fan_out")

    def forward(self, x: Tensor, context: Context) -> Tensor:
        x = self.norm.activated(self.depthwise(x, 3, context), context, ACTIVATION)
        out: Tensor = self.pointwise(x, context)
        return out


class _Sum(nn.Module):
    """A 1x1 convolution of several tensors side by side, batch norm, activation.

    Each tensor has weights of its own and the products are added: that is the convolution of the joined
    tensors, whose channels would lie apart where they are sliced.
    """

    def __init__(self, inputs: Sequence[int], width: int) -> None:
        super().__init__()
        convs = [ElasticConv2d(channels, width, 1, bias=False) for channels in inputs]
        for conv in convs:
            nn.init.kaiming_normal_(conv.weight, mode="fan_out")
        self.convs = nn.ModuleList(convs)
        self.norm = ElasticBatchNorm2d(width)

    def forward(
        self, tensors: Sequence[Tensor], width: int, context: Context, *, last: Segments | None = None
    ) -> Tensor:
        """`last` are the segments that the last tensor holds, where they are not its first channels."""
        segments = [None] * (len(tensors) - 1) + [last]
        x, *others = (
            conv(tensor, width, context, segments=held)
            for conv, tensor, held in zip(self.convs, tensors, segments, strict=True)
        )
        for other in others:
            x = x + other
        return self.norm.activated(x, context, ACTIVATION)
