"""MobileNetV3 blocks (Howard et al. 2019): inverted residuals with squeeze-and-excitation."""

import torch.nn.functional as F
from torch import Tensor, nn

from nas.layers import Context, ElasticConv2d
from nas.models.blocks.mbconv import MBConv
from nas.models.blocks.place import BlockPlace
from nas.space.arch import Stage
from nas.space.fields import CHANNEL_MULTIPLE

REDUCTION = 4


class MobileNetV3Block(MBConv):
    """`MBConv` whose hidden channels are weighted, where the option `squeeze_excite` says so.

    MobileNetV3's activation is ReLU in the first stages and hard swish in the last: it is the stage's.

    Args:
        place: as `MBConv` has it.
    """

    def __init__(self, place: BlockPlace) -> None:
        super().__init__(place)
        hidden = place.in_width * max(place.choices["expansion"])
        self.excite = SqueezeExcite(hidden) if True in place.options["squeeze_excite"] else None

    def attend(self, hidden: Tensor, stage: Stage, context: Context) -> Tensor:
        if not stage.option("squeeze_excite"):
            return hidden
        assert self.excite is not None
        weighted: Tensor = self.excite(hidden, context)
        return weighted


class SqueezeExcite(nn.Module):
    """Every channel times a gate that sees the means of all channels (Hu et al. 2018).

    The gate is a hard sigmoid (MobileNetV3); ReLU stands between the two layers whatever the activation.

    Args:
        channels: the largest number.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = ElasticConv2d(channels, squeezed(channels), 1)
        self.expand = ElasticConv2d(squeezed(channels), channels, 1)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """[B, C, H, W] -> the same shape."""
        channels = x.shape[1]
        hidden = F.relu(self.reduce(F.adaptive_avg_pool2d(x, 1), squeezed(channels), context), inplace=True)
        return x * F.hardsigmoid(self.expand(hidden, channels, context), inplace=True)


def squeezed(channels: int) -> int:
    """A quarter, to the nearest multiple of 8 (halves up) that is no tenth less: MobileNet's rounding."""
    exact = channels / REDUCTION
    rounded = max(CHANNEL_MULTIPLE, int(exact + CHANNEL_MULTIPLE / 2) // CHANNEL_MULTIPLE * CHANNEL_MULTIPLE)
    return rounded if rounded >= 0.9 * exact else rounded + CHANNEL_MULTIPLE
