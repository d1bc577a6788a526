"""Shuffle units (ShuffleNetV2, Ma et al. 2018)."""

import torch
from torch import Tensor, nn

from nas.layers import Context, ElasticBatchNorm2d, ElasticConv2d, SeparableConvNorm
from nas.models.blocks.place import BlockPlace
from nas.space.arch import Block, Stage
from nas.space.fields import CHANNEL_MULTIPLE

HALF = CHANNEL_MULTIPLE // 2


class ShuffleUnit(nn.Module):
    """Half of the channels pass, the others go through a branch of half the width; both are shuffled.

    The first unit of a stage sends its whole input through two branches instead. There is no expansion.

    Channels are dealt out so that a narrow unit is a part of a wide one: see `split_channels`.

    Args:
        place: a residual unit passes half of its input.
    """

    def __init__(self, place: BlockPlace) -> None:
        super().__init__()
        half, kernels = place.out_width // 2, place.choices["kernel"]
        self.shortcut = (
            None if place.residual else SeparableConvNorm(place.in_width, half, kernels, stride=place.stride)
        )
        self.reduce = ElasticConv2d(half if place.residual else place.in_width, half, 1, bias=False)
        self.reduce_norm = ElasticBatchNorm2d(half)
        self.branch = SeparableConvNorm(half, half, kernels, stride=place.stride)

    def forward(self, x: Tensor, stage: Stage, block: Block, context: Context) -> Tensor:
        """[B, C, H, W] -> [B, stage.width, H / stride, W / stride]."""
        half = stage.width // 2
        if self.shortcut is None:
            passed, x = split_channels(x)
        else:
            passed = self.shortcut(x, half, stage.activation, context, kernel=block.kernel)
        hidden = self.reduce_norm.activated(self.reduce(x, half, context), context, stage.activation)
        changed = self.branch(hidden, half, stage.activation, context, kernel=block.kernel)
        return shuffle_channels(changed, passed)


def split_channels(x: Tensor) -> tuple[Tensor, Tensor]:
    """[B, C, H, W] -> two of [B, C / 2, H, W]: of every eight channels the first four, and the last four.

    ShuffleNetV2 cuts in the middle. The middle moves with the width, so that what passes in a wide unit would
    go through the branch of a narrow one. Here the first channels of both halves are the halves of the first
    channels: weights have the same inputs at every width, and slices are all that an elastic width takes.
    """
    batch, channels, height, width = x.shape
    dealt = x.reshape(batch, channels // CHANNEL_MULTIPLE, 2, HALF, height, width)
    passed, changed = dealt.chunk(2, dim=2)
    shape = (batch, channels // 2, height, width)
    return passed.reshape(shape), changed.reshape(shape)


def shuffle_channels(changed: Tensor, passed: Tensor) -> Tensor:
    """Two of [B, C, H, W] -> [B, 2 C, H, W]: a channel of the one, a channel of the other, and so on.

    With the changed channels first none passes more than three units in a row; with the others first, every
    eighth channel would pass all of them.
    """
    return torch.stack((changed, passed), dim=2).flatten(1, 2)
