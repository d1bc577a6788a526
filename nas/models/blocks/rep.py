"""Re-parameterised blocks (RepVGG, Ding et al. 2021; EfficientRep, the body of YOLOv6, Li et al. 2022)."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from nas.layers import ElasticBatchNorm2d, ElasticConv2d, Run, activate
from nas.space.arch import Block, OptionValue, Stage
from nas.space.stages import BlockSpec

KERNEL = 3


class RepBlock(nn.Module):
    """The sum of a 3x3 and a 1x1 convolution and, where the shape stays, the input, each with batch norm.

    The branches help training. What is exported, timed and counted has one 3x3 convolution in their place;
    see `nas.graph.merge`. Kernel and expansion are fixed.

    Args:
        in_width, out_width: the largest widths.
        stride, residual, choices, options: see `BlockType`; a residual block has the branch of the input.
    """

    def __init__(
        self,
        in_width: int,
        out_width: int,
        *,
        stride: int,
        residual: bool,
        choices: BlockSpec,
        options: Mapping[str, Sequence[OptionValue]],
    ) -> None:
        super().__init__()
        self.dense = ElasticConv2d(
            in_width, out_width, KERNEL, stride=stride, padding=KERNEL // 2, bias=False
        )
        self.dense_norm = ElasticBatchNorm2d(out_width)
        self.pointwise = ElasticConv2d(in_width, out_width, 1, stride=stride, bias=False)
        self.pointwise_norm = ElasticBatchNorm2d(out_width)
        self.input_norm = ElasticBatchNorm2d(in_width) if residual else None

    def forward(self, x: Tensor, stage: Stage, block: Block, run: Run) -> Tensor:
        """[B, C, H, W] -> [B, stage.width, H / stride, W / stride]."""
        total = self.dense_norm(self.dense(x, stage.width, run), run)
        total = total + self.pointwise_norm(self.pointwise(x, stage.width, run), run)
        if self.input_norm is not None:
            total = total + self.input_norm(x, run)
        return activate(total, stage.activation)
