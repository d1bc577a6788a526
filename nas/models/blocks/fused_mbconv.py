"""Fused inverted residual blocks (EfficientNetV2, Tan and Le 2021)."""

from torch import Tensor, nn

from nas.layers import Context, ElasticBatchNorm2d, ElasticConv2d, ElasticKernelConv2d
from nas.models.blocks.place import BlockPlace
from nas.space.arch import Block, Stage


class FusedMBConv(nn.Module):
    """`MBConv` with one dense convolution in place of 1x1 and depthwise; it projects at expansion 1 as well.

    Args:
        place: the dense convolution has the stride.
    """

    def __init__(self, place: BlockPlace) -> None:
        super().__init__()
        hidden = place.in_width * max(place.choices["expansion"])
        self.residual = place.residual
        self.expand = ElasticKernelConv2d(
            place.in_width, hidden, place.choices["kernel"], stride=place.stride
        )
        self.expand_norm = ElasticBatchNorm2d(hidden)
        self.project = ElasticConv2d(hidden, place.out_width, 1, bias=False)
        self.project_norm = ElasticBatchNorm2d(place.out_width)

    def forward(self, x: Tensor, stage: Stage, block: Block, context: Context) -> Tensor:
        """[B, C, H, W] -> [B, stage.width, H / stride, W / stride]."""
        hidden = self.expand(x, x.shape[1] * block.expansion, block.kernel, context)
        hidden = self.expand_norm.activated(hidden, context, stage.activation)
        out: Tensor = self.project_norm(self.project(hidden, stage.width, context), context)
        return x + out if self.residual else out

    @property
    def residual_norm(self) -> ElasticBatchNorm2d | None:
        """The norm whose output is added to what came in."""
        return self.project_norm if self.residual else None
