"""Inverted residual blocks (MobileNetV2, Sandler et al. 2018)."""

from torch import Tensor, nn

from nas.layers import Context, ElasticBatchNorm2d, ElasticConv2d, ElasticDepthwiseConv2d
from nas.models.blocks.place import BlockPlace
from nas.space.arch import Block, Stage


class MBConv(nn.Module):
    """Inverted residual (MobileNetV2): 1x1 to expansion times the input, depthwise, 1x1 to the width.

    Args:
        place: the depthwise convolution has the stride.
    """

    def __init__(self, place: BlockPlace) -> None:
        super().__init__()
        hidden = place.in_width * max(place.choices["expansion"])
        self.residual = place.residual
        self.expand = ElasticConv2d(place.in_width, hidden, 1, bias=False)
        self.expand_norm = ElasticBatchNorm2d(hidden)
        self.depthwise = ElasticDepthwiseConv2d(hidden, place.choices["kernel"], stride=place.stride)
        self.depthwise_norm = ElasticBatchNorm2d(hidden)
        self.project = ElasticConv2d(hidden, place.out_width, 1, bias=False)
        self.project_norm = ElasticBatchNorm2d(place.out_width)

    def forward(self, x: Tensor, stage: Stage, block: Block, context: Context) -> Tensor:
        """[B, C, H, W] -> [B, stage.width, H / stride, W / stride]."""
        hidden = self.expand(x, x.shape[1] * block.expansion, context)
        hidden = self.expand_norm.activated(hidden, context, stage.activation)
        hidden = self.depthwise(hidden, block.kernel, context)
        hidden = self.depthwise_norm.activated(hidden, context, stage.activation)
        hidden = self.attend(hidden, stage, context)
        out: Tensor = self.project_norm(self.project(hidden, stage.width, context), context)
        return x + out if self.residual else out

    @property
    def residual_norm(self) -> ElasticBatchNorm2d | None:
        """The norm whose output is added to what came in."""
        return self.project_norm if self.residual else None

    def attend(self, hidden: Tensor, stage: Stage, context: Context) -> Tensor:
        """What kin of this block do with the hidden channels before these are projected."""
        return hidden
