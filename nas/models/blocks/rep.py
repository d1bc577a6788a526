"""Re-parameterised blocks (RepVGG, Ding et al. 2021; EfficientRep, the body of YOLOv6, Li et al. 2022)."""

from torch import Tensor, nn

from nas.layers import Context, ElasticBatchNorm2d, ElasticConv2d, activate
from nas.models.blocks.place import BlockPlace
from nas.space.arch import Block, Stage

KERNEL = 3


class RepBlock(nn.Module):
    """The sum of a 3x3 and a 1x1 convolution and, where the shape stays, the input, each with batch norm.

    The branches help training. What is exported, timed and counted has one 3x3 convolution in their place;
    see `nas.graph.merge`. Kernel and expansion are fixed.

    Args:
        place: a residual block has the branch of the input.
    """

    def __init__(self, place: BlockPlace) -> None:
        super().__init__()
        self.dense = ElasticConv2d(
            place.in_width, place.out_width, KERNEL, stride=place.stride, padding=KERNEL // 2, bias=False
        )
        self.dense_norm = ElasticBatchNorm2d(place.out_width)
        self.pointwise = ElasticConv2d(place.in_width, place.out_width, 1, stride=place.stride, bias=False)
        self.pointwise_norm = ElasticBatchNorm2d(place.out_width)
        self.input_norm = ElasticBatchNorm2d(place.in_width) if place.residual else None

    def forward(self, x: Tensor, stage: Stage, block: Block, context: Context) -> Tensor:
        """[B, C, H, W] -> [B, stage.width, H / stride, W / stride]."""
        total = self.dense_norm(self.dense(x, stage.width, context), context)
        total = total + self.pointwise_norm(self.pointwise(x, stage.width, context), context)
        if self.input_norm is not None:
            total = total + self.input_norm(x, context)
        return activate(total, stage.activation)
