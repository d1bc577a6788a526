"""Cross-stage partial stages.

CSPNet (Wang et al. 2020) sends half of the channels through a stage's blocks and the other half around them.
CSPNeXt is the body of RTMDet (Lyu et al. 2022) and RTMPose (Jiang et al. 2023), CSPDarknet that of YOLOX (Ge
et al. 2021) and YOLO-Pose (Maji et al. 2022).
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.layers import Context, ConvNorm, ElasticBatchNorm2d, ElasticConv2d, ElasticDepthwiseConv2d
from nas.space.arch import Block, Stage
from nas.space.stages import StageChoices

POOL = 5
"""Window (px) of SPP's poolings; two and three in a row are one of 9 and of 13."""


class InnerBlock(Protocol):
    """What builds a block of a CSP layer, of as many channels as come in; see `CSPNeXtBlock`."""

    def __call__(self, width: int, choices: Mapping[str, Sequence[int]]) -> Any: ...


class CSPNeXtBlock(nn.Module):
    """3x3 convolution to expansion times the width, then a large depthwise-separable one back.

    Args:
        width: the largest width.
        choices: of this block's fields, by name; the kernel is the depthwise convolution's.
    """

    def __init__(self, width: int, choices: Mapping[str, Sequence[int]]) -> None:
        super().__init__()
        hidden = width * max(choices["expansion"])
        self.expand = ConvNorm(width, hidden, 3)
        self.depthwise = ElasticDepthwiseConv2d(hidden, choices["kernel"])
        self.depthwise_norm = ElasticBatchNorm2d(hidden)
        self.project = ConvNorm(hidden, width, 1)

    def forward(self, x: Tensor, block: Block, activation: str, context: Context) -> Tensor:
        """[B, C, H, W] -> the same shape."""
        width = x.shape[1]
        hidden = self.expand(x, width * block.expansion, activation, context)
        hidden = self.depthwise_norm.activated(
            self.depthwise(hidden, block.kernel, context), context, activation
        )
        out: Tensor = self.project(hidden, width, activation, context)
        return out


class DarknetBlock(nn.Module):
    """1x1 convolution to expansion times the width, 3x3 convolution back.

    Args:
        width: the largest width.
        choices: of this block's fields, by name.
    """

    def __init__(self, width: int, choices: Mapping[str, Sequence[int]]) -> None:
        super().__init__()
        hidden = width * max(choices["expansion"])
        self.expand = ConvNorm(width, hidden, 1)
        self.project = ConvNorm(hidden, width, 3)

    def forward(self, x: Tensor, block: Block, activation: str, context: Context) -> Tensor:
        """[B, C, H, W] -> the same shape."""
        width = x.shape[1]
        hidden = self.expand(x, width * block.expansion, activation, context)
        out: Tensor = self.project(hidden, width, activation, context)
        return out


class ChannelAttention(nn.Module):
    """Every channel times a gate between 0 and 1 that sees the means of all channels (RTMDet).

    Args:
        width: the largest width of a half.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.gate = ElasticConv2d(2 * width, 2 * width, 1)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Two halves joined, [B, C, H, W], to the same shape."""
        halves = halves_of(x.shape[1] // 2, self.width)
        gate = self.gate(F.adaptive_avg_pool2d(x, 1), halves, context, segments=halves)
        return x * F.hardsigmoid(gate)


class CSPLayer(nn.Module):
    """Two 1x1 convolutions to half of the width, blocks on the first, both joined, 1x1 convolution.

    Args:
        block: the type of the blocks.
        in_width, width: the largest widths of what comes in and goes out.
        blocks: the choices of every block of the deepest layer.
        attention: whether channel attention is among the choices.
    """

    def __init__(
        self,
        block: InnerBlock,
        in_width: int,
        width: int,
        blocks: Sequence[Mapping[str, Sequence[int]]],
        *,
        attention: bool,
    ) -> None:
        super().__init__()
        self.half_width = width // 2
        self.main = ConvNorm(in_width, self.half_width, 1)
        self.short = ConvNorm(in_width, self.half_width, 1)
        self.blocks = nn.ModuleList(block(self.half_width, choices) for choices in blocks)
        self.attention = ChannelAttention(self.half_width) if attention else None
        self.join = ConvNorm(2 * self.half_width, width, 1)

    def forward(
        self,
        x: Tensor,
        width: int,
        blocks: Sequence[Block],
        activation: str,
        context: Context,
        *,
        residual: bool,
        attention: bool,
    ) -> Tensor:
        """[B, C, H, W] -> [B, width, H, W]; `residual`: whether a block's input is added to its output."""
        half = width // 2
        main = self.main(x, half, activation, context)
        short = self.short(x, half, activation, context)
        for module, block in zip(islice(self.blocks, len(blocks)), blocks, strict=True):
            out = module(main, block, activation, context)
            main = main + out if residual else out
        both = torch.cat([main, short], dim=1)
        if attention:
            assert self.attention is not None
            both = self.attention(both, context)
        joined: Tensor = self.join(
            both, width, activation, context, segments=halves_of(half, self.half_width)
        )
        return joined


class SPP(nn.Module):
    """Spatial pyramid pooling: a map beside its maxima over 5x5, 9x9 and 13x13 windows, mixed by 1x1.

    Args:
        width: the largest width.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.half_width = width // 2
        self.reduce = ConvNorm(width, self.half_width, 1)
        self.mix = ConvNorm(4 * self.half_width, width, 1)

    def forward(self, x: Tensor, activation: str, context: Context) -> Tensor:
        """[B, C, H, W] -> the same shape."""
        width, half = x.shape[1], x.shape[1] // 2
        maps = [self.reduce(x, half, activation, context)]
        for _ in range(3):
            maps.append(F.max_pool2d(maps[-1], POOL, stride=1, padding=POOL // 2))
        segments = tuple((part * self.half_width, half) for part in range(4))
        mixed: Tensor = self.mix(torch.cat(maps, dim=1), width, activation, context, segments=segments)
        return mixed


class CSPStage(nn.Module):
    """3x3 convolution of the stage's stride, SPP where the option `spp` says so, CSP layer.

    Options: `residual` (of the CSP layer's blocks), `spp`, and in some types `attention` (in the layer).

    Args:
        block: the type of the blocks.
        in_width: the largest width of what comes in.
        spec: the stage's choices.
    """

    def __init__(self, block: InnerBlock, in_width: int, spec: StageChoices) -> None:
        super().__init__()
        width = max(spec.widths)
        self.down = ConvNorm(in_width, width, 3, stride=spec.stride)
        self.spp = SPP(width) if True in spec.options["spp"] else None
        attention = True in spec.options.get("attention", ())
        self.layer = CSPLayer(block, width, width, spec.blocks, attention=attention)

    def forward(self, x: Tensor, stage: Stage, context: Context) -> Tensor:
        """[B, C, H, W] -> [B, stage.width, H / stride, W / stride]."""
        options = dict(stage.options)
        x = self.down(x, stage.width, stage.activation, context)
        if options["spp"]:
            assert self.spp is not None
            x = self.spp(x, stage.activation, context)
        out: Tensor = self.layer(
            x,
            stage.width,
            stage.blocks,
            stage.activation,
            context,
            residual=bool(options["residual"]),
            attention=bool(options.get("attention", False)),
        )
        return out


def halves_of(half: int, largest: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The segments of two halves of so many channels that were joined."""
    return (0, half), (largest, half)
